package mem

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"floe/lib/record"
)

// TestLDT: each descriptor becomes the call that made it.
func TestLDT(t *testing.T) {
	table := make([]byte, 4*ldtEntry)
	le := binary.LittleEndian
	le.PutUint64(table[0:], 0x12df_f334_5678_ffff)  // 32-bit data, in pages, useable
	le.PutUint64(table[24:], 0xfe07_75dc_ba98_0007) // 16-bit, expands down, not present, read only
	calls, err := setLDT(table)
	if err != nil || len(calls) != 2 {
		t.Fatalf("%d calls, %v", len(calls), err)
	}
	for i, want := range [][4]uint32{{0, 0x12345678, 0xfffff, 0x51}, {3, 0xfedcba98, 0x70007, 0x2a}} {
		c := calls[i]
		if c.Nr != unix.SYS_MODIFY_LDT || c.Args[0].Val != writeLDT || c.Args[2].Val != 16 {
			t.Errorf("call %d: %+v", i, c)
		}
		for k, w := range want {
			if got := le.Uint32(c.Args[1].Bytes[4*k:]); got != w {
				t.Errorf("call %d: field %d is %#x, want %#x", i, k, got, w)
			}
		}
	}
}

// TestAfterRefuses: an image can't ask for what no process has.
func TestAfterRefuses(t *testing.T) {
	gate := binary.LittleEndian.AppendUint64(nil, 0xec00_0000_0000) // a call gate
	for name, a := range map[string]*record.MmAttrs{
		"descriptor 0":    {Ldt: gate},
		"has 7 bytes":     {Ldt: gate[:7]},
		"has 65544 bytes": {Ldt: make([]byte, 65544)},
		"flags 0x5":       {LockFuture: 5},
	} {
		if calls, err := After(a); err == nil || !strings.Contains(err.Error(), strings.TrimPrefix(name, "has ")) {
			t.Errorf("%s: %v, %v", name, calls, err)
		}
	}
	if calls, err := After(nil); len(calls) != 0 || err != nil {
		t.Errorf("nothing: %v, %v", calls, err)
	}
}

// TestAnswer reads what a task says of a page that it has just mapped.
func TestAnswer(t *testing.T) {
	const locked = -int64(unix.EINVAL)
	for _, c := range []struct {
		advise, ldt   int64
		want          uint32
		hasLDT, fails bool
	}{
		{0, 0, 0, false, false},
		{locked, 8, unix.MCL_FUTURE, true, false},
		{locked, -int64(unix.ENOSYS), unix.MCL_FUTURE, false, false},
		{-int64(unix.ENOMEM), 0, 0, false, true},
		{0, -int64(unix.EFAULT), 0, false, true},
	} {
		a, ldt, err := Answer(append([]int64{c.advise, c.ldt}, noKeys()...))
		if (err != nil) != c.fails || err == nil && (a.LockFuture != c.want || ldt != c.hasLDT) {
			t.Errorf("%+v: %v, %v, %v", c, a, ldt, err)
		}
	}
	for there, want := range map[byte]uint32{1: unix.MCL_FUTURE, 0: unix.MCL_FUTURE | unix.MCL_ONFAULT} {
		if got, err := AnswerFilled([]int64{0}, func(int, int) ([]byte, error) { return []byte{there}, nil }); got != want || err != nil {
			t.Errorf("there %d: %#x, %v", there, got, err)
		}
	}
	if _, err := AnswerFilled([]int64{-int64(unix.EAGAIN)}, nil); err == nil {
		t.Error("no answer is taken")
	}
}

// noKeys is what a process without keys answers, on a machine that has them.
func noKeys() []int64 { return slices.Repeat([]int64{-int64(unix.EINVAL)}, len(askKeys(haveKeys()))) }

// TestKeys: a key that a page takes is one that the process has.
func TestKeys(t *testing.T) {
	if n := len(askKeys(true)); n != keys-1 || len(askKeys(false)) != 0 {
		t.Errorf("%d calls", n)
	}
	none := -int64(unix.EINVAL)
	if err := answerKeys([]int64{none, none}); err != nil {
		t.Error(err)
	}
	if err := answerKeys([]int64{none, 0}); err == nil || !strings.Contains(err.Error(), "protection key 2") {
		t.Errorf("key 2: %v", err)
	}
	if err := answerKeys([]int64{-int64(unix.ENOMEM)}); err == nil {
		t.Error("no answer is taken")
	}
}

// TestPolicies reads policies, joins those of mappings that touch, and makes the
// calls for them.
func TestPolicies(t *testing.T) {
	list := []Range{{0x1000, 0x2000}, {0x2000, 0x3000}, {0x3000, 0x4000}, {0x5000, 0x6000}}
	found, err := AnswerPolicies(list, []int64{0, 0, 0, 0}, func(call, _ int) ([]byte, error) {
		return []byte{[]byte{2, 2, 0, 4}[call], 0, 0, 0}, nil
	})
	if err != nil || len(found) != 3 {
		t.Fatalf("%v, %v", found, err)
	}
	if len(AskNodes(found)) != 3 {
		t.Errorf("%v", AskNodes(found))
	}
	err = AnswerNodes(found, []int64{0, 0, 0}, func(call, _ int) ([]byte, error) {
		b := make([]byte, maskBytes)
		b[8] = []byte{1, 1, 0}[call]
		return b, nil
	})
	found = Joined(found)
	if err != nil || len(found) != 2 || len(found[0].Nodes) != 16 || len(found[1].Nodes) != 0 {
		t.Fatalf("%v, %v", found, err)
	}
	var args [][]uint64
	for c := range Policies(&record.MmAttrs{Policies: found}) {
		args = append(args, []uint64{c.Args[0].Val, c.Args[1].Val, c.Args[2].Val, c.Args[4].Val})
	}
	if len(args) != 2 || args[0][0] != 0x1000 || args[0][1] != 0x2000 || args[0][2] != 2 || args[0][3] != 129 || args[1][2] != 4 {
		t.Errorf("%x", args)
	}
	if none, err := AnswerPolicies(list, []int64{-int64(unix.ENOSYS)}, nil); none != nil || err != nil {
		t.Errorf("a kernel without policies: %v, %v", none, err)
	}
	if _, err := After(&record.MmAttrs{Policies: []*record.MemPolicy{{Start: 1, End: 2, Nodes: make([]byte, 136)}}}); err == nil {
		t.Error("136 bytes of nodes are taken")
	}
}
