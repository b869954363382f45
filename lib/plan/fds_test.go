package plan

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"floe/lib/record"
	"floe/lib/stub"
)

// puppetTable is a descriptor table that does as the kernel does: what each
// number refers to, and whether it is closed on exec.
type puppetTable map[int]tableEntry

type tableEntry struct {
	object  int // restore's descriptor; guideObject
	cloexec bool
}

const guideObject = -1

func (p puppetTable) run(calls []stub.Call) error {
	for _, c := range calls {
		if err := p.call(c); err != nil {
			return fmt.Errorf("%s: %w", c.Name(), err)
		}
	}
	return nil
}

func (p puppetTable) call(c stub.Call) error {
	arg := func(i int) int { return int(c.Args[i].Val) }
	from, ok := p[arg(0)]
	if !ok {
		return unix.EBADF
	}
	switch c.Nr {
	case unix.SYS_PIDFD_GETFD:
		if from.object != guideObject {
			return unix.EBADF
		}
		n := 0
		for ; ; n++ {
			if _, taken := p[n]; !taken {
				break
			}
		}
		p[n] = tableEntry{arg(1), true}
	case unix.SYS_DUP3:
		if arg(0) == arg(1) {
			return unix.EINVAL
		}
		if _, taken := p[arg(1)]; taken {
			return fmt.Errorf("%d is in use", arg(1))
		}
		p[arg(1)] = tableEntry{from.object, arg(2)&unix.O_CLOEXEC != 0}
	case unix.SYS_CLOSE:
		delete(p, arg(0))
	case unix.SYS_FCNTL:
		p[arg(0)] = tableEntry{from.object, arg(2)&unix.FD_CLOEXEC != 0}
	default:
		return unix.ENOSYS
	}
	return nil
}

// TestDescriptors: whatever table an image has, the planned calls make it, by
// the kernel's rules.
func TestDescriptors(t *testing.T) {
	const firstOwn = 1000
	open := func(id uint64) int { return firstOwn + int(id) }
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		want := puppetTable{}
		var slots []*record.Fd
		for fd := int32(0); len(slots) < r.IntN(20); fd++ {
			if r.IntN(4) == 0 {
				fd += int32(r.IntN(5))
			}
			s := &record.Fd{Fd: fd, OpenId: uint64(1 + r.IntN(12)), Cloexec: r.IntN(2) == 0}
			slots = append(slots, s)
			want[int(fd)] = tableEntry{firstOwn + int(s.OpenId), s.Cloexec}
		}
		got := puppetTable{Guide: {guideObject, true}}
		if err := got.run(slices.Collect(Descriptors(slots, open))); err != nil {
			t.Fatalf("seed %d, %d slots: %v", seed, len(slots), err)
		}
		if !maps.Equal(got, want) {
			t.Fatalf("seed %d: the table is %v, not %v", seed, got, want)
		}
	}
}

// TestFetch: what is fetched gets the numbers that the plans of memory use.
func TestFetch(t *testing.T) {
	got := puppetTable{Guide: {guideObject, true}}
	if err := got.run(Fetch([]int{7, 9, 8})); err != nil {
		t.Fatal(err)
	}
	want := puppetTable{Guide: {guideObject, true}, 1: {7, true}, 2: {9, true}, 3: {8, true}}
	if !maps.Equal(got, want) {
		t.Fatalf("the table is %v, not %v", got, want)
	}
}
