package plan

import (
	"encoding/binary"
	"maps"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"floe/lib/record"
)

// kernelTimers numbers timers as a kernel does.
type kernelTimers struct {
	next    int32
	told    bool // PR_TIMER_CREATE_RESTORE_IDS
	live    map[int32]bool
	most    int // at a time
	running []int32
}

func (k *kernelTimers) run(t *testing.T, nr uint64, args []uint64, data []byte) {
	switch nr {
	case unix.SYS_PRCTL:
		k.told = args[1] == 1
	case unix.SYS_TIMER_CREATE:
		id := k.next
		if k.told {
			id = int32(binary.LittleEndian.Uint32(data))
		}
		if k.live[id] {
			t.Fatalf("timer %d is made twice", id)
		}
		k.live[id], k.next = true, id+1
		k.most = max(k.most, len(k.live))
	case unix.SYS_TIMER_DELETE:
		if id := int32(args[0]); !k.live[id] {
			t.Fatalf("timer %d is deleted and not there", id)
		}
		delete(k.live, int32(args[0]))
	case unix.SYS_TIMER_SETTIME:
		k.running = append(k.running, int32(args[0]))
	}
}

// TestPosixTimers makes timers on a kernel that is told their ids, and on one that
// counts, where no more than one is made before its time.
func TestPosixTimers(t *testing.T) {
	for _, byID := range []bool{true, false} {
		ids := []int32{9000, 0, 17, 16, maxCounted - 1}
		if byID {
			ids = append(ids, 1<<31-1)
		}
		var list []*record.PosixTimer
		for _, id := range ids {
			list = append(list, &record.PosixTimer{Id: id, Clock: 1, Notify: sigevNone, ValueNs: uint64(id % 2)})
		}
		if err := CheckTimers(list, byID); err != nil {
			t.Fatal(err)
		}
		k := &kernelTimers{live: map[int32]bool{}}
		for part := range PosixTimers(list, byID) {
			if len(part) > 2*timersAtATime {
				t.Errorf("%d calls at a time", len(part))
			}
			for _, c := range part {
				var args []uint64
				var data []byte
				for _, a := range c.Args {
					args = append(args, a.Val)
					data = a.Bytes
				}
				if len(k.running) > 0 && c.Nr != unix.SYS_TIMER_SETTIME {
					t.Fatalf("%s after timers have begun to run", c.What)
				}
				k.run(t, c.Nr, args, data)
			}
		}
		slices.Sort(ids)
		if got := slices.Sorted(maps.Keys(k.live)); !slices.Equal(got, ids) || k.most > len(ids) || k.told {
			t.Errorf("told %v: timers %v, want %v; %d at a time", byID, got, ids, k.most)
		}
	}
	for id, byID := range map[int32]bool{maxCounted: false, -1: true} {
		if err := CheckTimers([]*record.PosixTimer{{Id: id}}, byID); err == nil {
			t.Errorf("id %d, told %v: no error", id, byID)
		}
	}
}
