package stub

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

type named string

func (n named) String() string { return string(n) }

func word(b []byte, at uint64) uint64 { return binary.LittleEndian.Uint64(b[at:]) }

func TestTable(t *testing.T) {
	const base = 0x10000
	table := NewTable(base, 1<<16)
	fixed := make([]byte, 20)
	args := []Arg{I(7), D([]byte("seven")), {Kind: Data, Bytes: fixed, Fixes: []Fix{{At: 8, Plus: 16}}}}
	for _, c := range []Call{
		{What: "first", Nr: 1, Args: args},
		{What: "second", Of: named("it"), Nr: 2, Args: []Arg{R(0), S("x")}, MayFail: true},
		{What: "third", Nr: 3, Args: []Arg{R(1)}, Excused: unix.ENOMEM},
	} {
		if ok, err := table.Add(&c); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	args[1] = I(0) // the table keeps nothing of it
	b := table.Bytes()
	if !bytes.Equal(b, table.Bytes()) {
		t.Error("Bytes changes what it has made")
	}
	if got := word(b, 0*entrySize+8); got != 7 {
		t.Errorf("argument 0 of call 0 is %d", got)
	}
	seven := word(b, 16) - base
	if !bytes.HasPrefix(b[seven:], []byte("seven")) || seven%dataAlign != 0 || table.ReadBack(0, 1) != base+seven {
		t.Errorf("the data of call 0 are at %#x, ReadBack says %#x", seven, table.ReadBack(0, 1))
	}
	at := word(b, 24)
	if got := word(b, at-base+8); got != at+16 {
		t.Errorf("a pointer into %#x is %#x", at, got)
	}
	if b[1*entrySize+entryRefs] != 1 || word(b, 1*entrySize+8) != 0 || b[2*entrySize+entryRefs] != 1 || word(b, 2*entrySize+8) != 1 {
		t.Error("results of calls before are not referred to")
	}
	for i, want := range []byte{0, 1, 1} {
		if got := b[i*entrySize+entryFlags]; got != want {
			t.Errorf("flags of call %d are %d, want %d", i, got, want)
		}
	}
	if got := table.Name(1); got != "second of it" {
		t.Errorf("name %q", got)
	}
	if table.ReadBack(2, 0) != 0 {
		t.Error("there are data where none are")
	}
}

func TestExcused(t *testing.T) {
	for _, c := range []struct {
		name   string
		result int64
		want   int
	}{
		{"it succeeds", 0, -1},
		{"the result is an address", -4096, -1},
		{"it fails as it may", -int64(unix.ENOMEM), -1},
		{"it fails otherwise", -int64(unix.EAGAIN), 1},
	} {
		table, err := Encode([]Call{{What: "a", MayFail: true}, {What: "b", Excused: unix.ENOMEM}}, nil, 0, 4096)
		if err != nil || !table.Excuses() {
			t.Fatal(err)
		}
		b := table.Bytes()
		binary.LittleEndian.PutUint64(b[entryRes:], 1<<64-1)
		binary.LittleEndian.PutUint64(b[entrySize+entryRes:], uint64(c.result))
		if got := table.Unexcused(b, 2); got != c.want {
			t.Errorf("%s: call %d is at fault, want %d", c.name, got, c.want)
		}
		if got := table.Unexcused(b, 1); got != -1 {
			t.Errorf("%s: call %d is at fault, and has not run", c.name, got)
		}
	}
}

func TestRoom(t *testing.T) {
	const room = 3*entrySize + 32
	list := make([]Call, 9)
	for i := range list {
		list[i] = Call{What: "data", Nr: uint64(i), Args: []Arg{D(make([]byte, 9))}}
	}
	var done []int64
	for len(done) < len(list) {
		table, err := Encode(list[len(done):], done, 0, room)
		if err != nil || len(table.Bytes()) > room || table.Calls != min(2, len(list)-len(done)) {
			t.Fatalf("%d calls in %d bytes: %v", table.Calls, len(table.Bytes()), err)
		}
		done = append(done, make([]int64, table.Calls)...)
	}
	if _, err := Encode([]Call{{What: "large", Args: []Arg{D(make([]byte, room))}}}, nil, 0, room); err == nil || !strings.Contains(err.Error(), "large") {
		t.Errorf("a call that fits nowhere: %v", err)
	}
	if _, err := Encode([]Call{{What: "many", Args: make([]Arg, 7)}}, nil, 0, room); err == nil {
		t.Error("seven arguments")
	}
}

// TestResults: what a call before this table returned is a plain argument, if it
// is known.
func TestResults(t *testing.T) {
	table, err := Encode([]Call{{What: "a"}, {What: "b", Args: []Arg{R(1), R(2)}}}, []int64{40, 41}, 0, 4096)
	if err != nil {
		t.Fatal(err)
	}
	b := table.Bytes()
	if word(b, entrySize+8) != 41 || word(b, entrySize+16) != 0 || b[entrySize+entryRefs] != 2 {
		t.Errorf("arguments %d and %d, references %b", word(b, entrySize+8), word(b, entrySize+16), b[entrySize+entryRefs])
	}
	table.Reset(2, nil)
	for _, i := range []int{1, 2} {
		if ok, err := table.Add(&Call{What: "c", Args: []Arg{R(i)}}); ok || err == nil {
			t.Errorf("the result of call %d, which nobody knows: %v, %v", i, ok, err)
		}
	}
}

// TestNoGarbage: a table that is used again takes no memory, whatever goes
// through it.
func TestNoGarbage(t *testing.T) {
	table := NewTable(0, 1<<18)
	call := Call{What: "mmap", Nr: 9, Args: []Arg{I(1), I(2), D(make([]byte, 30))}}
	fill := func() {
		table.Reset(0, nil)
		for {
			switch ok, err := table.Add(&call); {
			case err != nil:
				t.Fatal(err)
			case !ok:
				_ = table.Bytes()
				return
			}
		}
	}
	fill()
	if n := testing.AllocsPerRun(10, fill); n > 0 {
		t.Errorf("%v allocations for %d calls", n, table.Calls)
	}
}
