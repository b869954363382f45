package stub

import (
	"encoding/binary"
	"fmt"
	"sort"

	"golang.org/x/sys/unix"
)

// Call is one system call of a table.
type Call struct {
	What    string       // for errors: "mmap"
	Of      fmt.Stringer // for errors, asked only then: "7f12…-7f13… libc.so.6"; nil: What says it all
	Nr      uint64
	Args    []Arg      // six at most, the rest are 0
	MayFail bool       // go on when it fails; see Result
	Excused unix.Errno // go on when it fails like this; any other errno is an error
}

// Name is what an error calls the call.
func (c *Call) Name() string { return label{c.What, c.Of}.String() }

// ArgKind says what an argument of a Call is.
type ArgKind uint8

// Kinds of argument.
const (
	Imm    ArgKind = iota // Val
	Result                // what the Val-th call of the same list returned
	Data                  // the address of a copy of Bytes
	Spare                 // the address of a page of scratch memory, see Untouched; a guest's calls only
)

// Untouched is the Val of a Spare that nobody has touched: it costs a page. With
// another Val it may be the page that the call itself is in, when that call is
// alone: then all else in it may be lost.
const Untouched = 1

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

// Table is a list of calls in the making, for one place in memory: entries,
// then the data. It keeps nothing of the calls but what errors need.
type Table struct {
	Calls   int
	base    uint64
	room    int
	ran     int     // calls of the list that ran before this table
	done    []int64 // what they returned, if that is known
	entries []byte
	data    []byte
	args    []dataArg
	fixes   []dataFix
	labels  []label
	excused []excuse
}

// dataArg is an argument that points to the data, dataFix a place in the data
// that does. Offsets are from the start of the data.
type (
	dataArg struct{ call, arg, to int }
	dataFix struct {
		at int
		to uint64
	}
	excuse struct {
		call  int
		errno unix.Errno
	}
	label struct {
		what string
		of   fmt.Stringer
	}
)

func (l label) String() string {
	if l.of == nil {
		return l.what
	}
	return l.what + " of " + l.of.String()
}

// NewTable is an empty table for room bytes at address base.
func NewTable(base uint64, room int) *Table { return &Table{base: base, room: room} }

// Reset makes the table empty, for what follows in a list after ran calls. done
// are their results, which R refers to; nil: nobody knows them any more.
func (t *Table) Reset(ran int, done []int64) {
	*t = Table{base: t.base, room: t.room, ran: ran, done: done, entries: t.entries[:0], data: t.data[:0],
		args: t.args[:0], fixes: t.fixes[:0], labels: t.labels[:0], excused: t.excused[:0]}
}

// Add adds a call; it returns false when there is no room for it any more.
// c.Args may change afterwards.
func (t *Table) Add(c *Call) (bool, error) {
	if len(c.Args) > maxArgs {
		return false, fmt.Errorf("%s: %d arguments", c.Name(), len(c.Args))
	}
	more := 0
	for i := range c.Args {
		more += aligned(len(c.Args[i].Bytes))
	}
	if len(t.entries)+entrySize+len(t.data)+more > t.room {
		if t.Calls == 0 {
			return false, fmt.Errorf("%s: its data does not fit into %d bytes", c.Name(), t.room)
		}
		return false, nil
	}
	var e [entrySize]byte
	le := binary.LittleEndian
	le.PutUint64(e[:], c.Nr)
	var refs, flags uint32
	for j := range c.Args {
		v, ref, err := t.arg(c, j)
		if err != nil {
			return false, err
		}
		if ref {
			refs |= 1 << j
		}
		le.PutUint64(e[8+8*j:], v)
	}
	if c.Excused != 0 {
		t.excused = append(t.excused, excuse{t.Calls, c.Excused})
	}
	if c.MayFail || c.Excused != 0 {
		flags = 1
	}
	le.PutUint32(e[entryRefs:], refs)
	le.PutUint32(e[entryFlags:], flags)
	t.entries = append(t.entries, e[:]...)
	t.labels = append(t.labels, label{c.What, c.Of})
	t.Calls++
	return true, nil
}

// arg is the value of argument j as it stands in the entry; ref says that it is
// the index of an entry. Where the data will be is not known yet.
func (t *Table) arg(c *Call, j int) (v uint64, ref bool, err error) {
	a := &c.Args[j]
	ran, now := uint64(t.ran), uint64(t.ran+t.Calls)
	switch {
	case a.Kind == Data:
		at := len(t.data)
		t.args = append(t.args, dataArg{t.Calls, j, at})
		for _, f := range a.Fixes {
			t.fixes = append(t.fixes, dataFix{at + f.At, uint64(at) + f.Plus})
		}
		t.data = append(t.data, a.Bytes...)
		t.data = append(t.data, make([]byte, aligned(len(a.Bytes))-len(a.Bytes))...)
		return 0, false, nil
	case a.Kind == Imm:
		return a.Val, false, nil
	case a.Val < uint64(len(t.done)):
		return uint64(t.done[a.Val]), false, nil
	case a.Val >= ran && a.Val < now:
		return a.Val - ran, true, nil
	}
	return 0, false, fmt.Errorf("%s: argument %d is the result of call %d, which has not run", c.Name(), j, a.Val)
}

func aligned(n int) int { return (n + dataAlign - 1) &^ (dataAlign - 1) }

// Bytes is the table as it stands in memory. It is good until Reset.
func (t *Table) Bytes() []byte {
	le := binary.LittleEndian
	for _, a := range t.args {
		le.PutUint64(t.entries[a.call*entrySize+8+8*a.arg:], t.dataBase()+uint64(a.to))
	}
	for _, f := range t.fixes {
		le.PutUint64(t.data[f.at:], t.dataBase()+f.to)
	}
	b := append(t.entries, t.data...)
	t.entries = b[:len(t.entries)]
	return b
}

// dataBase is where the data are: an entry is as long as some of their units.
func (t *Table) dataBase() uint64 { return t.base + uint64(len(t.entries)) }

// Name is what an error calls call number i of this table.
func (t *Table) Name(i int) string { return t.labels[i].String() }

// Excuses tells whether a call may fail with some errno only, so that Unexcused
// has to look at the results.
func (t *Table) Excuses() bool { return len(t.excused) > 0 }

// Unexcused is the first of the first n calls that failed with another errno
// than it may, by the entries' bytes as they are after the run; -1: none.
func (t *Table) Unexcused(b []byte, n int) int {
	for _, e := range t.excused {
		if e.call >= n {
			break
		}
		if r := ResultAt(b, e.call); r < 0 && r >= -MaxErrno && r != -int64(e.errno) {
			return e.call
		}
	}
	return -1
}

// MaxErrno is the largest errno that a system call returns negated.
const MaxErrno = 4095

// Encode makes the table of as many calls from the front of list as fit into
// room bytes at address base. done are the results of calls that ran before
// list's first; R counts from the first of those.
func Encode(list []Call, done []int64, base uint64, room int) (*Table, error) {
	t := NewTable(base, room)
	t.Reset(len(done), done)
	return t, t.Fill(list)
}

// Fill adds as many calls from the front of list as there is room for.
func (t *Table) Fill(list []Call) error {
	for i := range list {
		if fits, err := t.Add(&list[i]); err != nil || !fits {
			return err
		}
	}
	return nil
}

// ReadBack is the address of the data of argument arg of call number i of this
// table.
func (t *Table) ReadBack(i, arg int) uint64 {
	first := sort.Search(len(t.args), func(k int) bool { return t.args[k].call >= i })
	for _, a := range t.args[first:] {
		if a.call != i {
			break
		}
		if a.arg == arg {
			return t.dataBase() + uint64(a.to)
		}
	}
	return 0
}

// Results takes the results of the first n calls from the entries' bytes as
// they are after the run.
func Results(b []byte, n int) []int64 {
	out := make([]int64, n)
	for i := range out {
		out[i] = ResultAt(b, i)
	}
	return out
}

// ResultAt is the result of call number i.
func ResultAt(b []byte, i int) int64 {
	return int64(binary.LittleEndian.Uint64(b[i*entrySize+entryRes:]))
}

// EntryBytes is the size of n entries, bytes.
func EntryBytes(n int) int { return n * entrySize }
