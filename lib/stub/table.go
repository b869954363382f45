package stub

import (
	"encoding/binary"
	"fmt"
)

// Call is one system call of a table.
type Call struct {
	What    string // for errors: "mmap 7f12…-7f13… (libc.so.6)"
	Nr      uint64
	Args    []Arg // six at most, the rest are 0
	MayFail bool  // go on when it fails; see Result
}

// ArgKind says what an argument of a Call is.
type ArgKind uint8

// Kinds of argument.
const (
	Imm    ArgKind = iota // Val
	Result                // what the Val-th call of the same list returned
	Data                  // the address of a copy of Bytes
)

// Fix puts the address of the copy of an argument's Bytes, plus Plus, into the
// eight bytes at offset At of that copy: a pointer into itself.
type Fix struct {
	At   int
	Plus uint64
}

// Arg is an argument of a Call.
type Arg struct {
	Kind  ArgKind
	Val   uint64
	Bytes []byte
	Fixes []Fix
}

// I is an immediate argument.
func I[T ~int | ~int32 | ~int64 | ~uint | ~uint32 | ~uint64](v T) Arg { return Arg{Val: uint64(v)} }

// R is the result of call number i of the list.
func R(i int) Arg { return Arg{Kind: Result, Val: uint64(i)} }

// D is the address of a copy of b, aligned to 16 bytes. A call may write to
// it; ReadBack says where it is.
func D(b []byte) Arg { return Arg{Kind: Data, Bytes: b} }

// S is the address of a zero-terminated copy of s.
func S(s string) Arg { return D(append([]byte(s), 0)) }

// Layout of a table entry, 80 bytes, little endian:
//
//	 0  u64     number
//	 8  u64 ×6  arguments
//	56  u32     bit i: argument i is the index of the entry whose result to take
//	60  u32     bit 0: may fail
//	64  i64     result
//	72  u64     unused
const (
	entrySize  = 80
	entryRefs  = 56
	entryFlags = 60
	entryRes   = 64
	dataAlign  = 16
	maxArgs    = 6
)

// Table is an encoded list of calls, ready for one place in memory.
type Table struct {
	Bytes []byte // entries, then the data
	Calls int
	data  map[[2]int]uint64
}

// Encode makes the table of as many calls from the front of list as fit into
// room bytes at address base. done are the results of calls that ran before
// list's first; R counts from the first of those.
func Encode(list []Call, done []int64, base uint64, room int) (*Table, error) {
	n, size, err := fit(list, room)
	if err != nil {
		return nil, err
	}
	t := &Table{Bytes: make([]byte, size), Calls: n, data: map[[2]int]uint64{}}
	at := n * entrySize
	le := binary.LittleEndian
	for i, c := range list[:n] {
		e := t.Bytes[i*entrySize : (i+1)*entrySize]
		le.PutUint64(e, c.Nr)
		var refs, flags uint32
		for j, a := range c.Args {
			v := a.Val
			switch {
			case a.Kind == Data:
				at = (at + dataAlign - 1) &^ (dataAlign - 1)
				v = base + uint64(at)
				t.data[[2]int{i, j}] = v
				copy(t.Bytes[at:], a.Bytes)
				for _, f := range a.Fixes {
					le.PutUint64(t.Bytes[at+f.At:], v+f.Plus)
				}
				at += len(a.Bytes)
			case a.Kind == Result && v < uint64(len(done)):
				v = uint64(done[v])
			case a.Kind == Result && v < uint64(len(done)+i):
				v -= uint64(len(done))
				refs |= 1 << j
			case a.Kind == Result:
				return nil, fmt.Errorf("%s: argument %d is the result of call %d, which has not run", c.What, j, v)
			}
			le.PutUint64(e[8+8*j:], v)
		}
		if c.MayFail {
			flags = 1
		}
		le.PutUint32(e[entryRefs:], refs)
		le.PutUint32(e[entryFlags:], flags)
	}
	return t, nil
}

// fit counts how many calls fit, and the bytes that their table takes.
func fit(list []Call, room int) (n, size int, err error) {
	data := 0
	for _, c := range list {
		if len(c.Args) > maxArgs {
			return 0, 0, fmt.Errorf("%s: %d arguments", c.What, len(c.Args))
		}
		more := 0
		for _, a := range c.Args {
			if a.Kind == Data {
				more += (len(a.Bytes) + dataAlign - 1) &^ (dataAlign - 1)
			}
		}
		if (n+1)*entrySize+dataAlign+data+more > room {
			break
		}
		data += more
		n++
	}
	if n == 0 && len(list) > 0 {
		return 0, 0, fmt.Errorf("%s: its data does not fit into %d bytes", list[0].What, room)
	}
	return n, n*entrySize + dataAlign + data, nil
}

// ReadBack is the address of the data of argument arg of call number i of this
// table.
func (t *Table) ReadBack(i, arg int) uint64 { return t.data[[2]int{i, arg}] }

// Results takes the results of the first n calls from the entries' bytes as
// they are after the run.
func Results(b []byte, n int) []int64 {
	out := make([]int64, n)
	for i := range out {
		out[i] = int64(binary.LittleEndian.Uint64(b[i*entrySize+entryRes:]))
	}
	return out
}

// EntryBytes is the size of n entries, bytes.
func EntryBytes(n int) int { return n * entrySize }
