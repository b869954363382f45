package plan

import (
	"encoding/binary"
	"maps"
	"math"
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
		k.live[id], k.next = true, (id+1)&math.MaxInt32
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
	for next, byID := range map[int32]bool{maxCounted: true, 8999: true, 9000: true, 9001: true, 5: true, 0: true, maxCounted + 1: false, maxCounted - 10: false, maxCounted + 2: false} {
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
		for _, part := range PosixTimers(&record.Task{PosixTimers: list, NextTimer: uint32(next) + 1}, byID) {
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
				if c.Nr == unix.SYS_TIMER_SETTIME {
					t.Fatalf("%s while timers are being made", c.What)
				}
				k.run(t, c.Nr, args, data)
			}
		}
		slices.Sort(ids)
		if got := slices.Sorted(maps.Keys(k.live)); !slices.Equal(got, ids) || k.most > len(ids)+1 || k.told {
			t.Errorf("told %v: timers %v, want %v; %d at a time", byID, got, ids, k.most)
		}
		if want := max(next, maxCounted); byID && k.next != next || !byID && k.next != min(want, maxCounted) {
			t.Errorf("told %v: the next is %d, want %d", byID, k.next, next)
		}
	}
	for id, byID := range map[int32]bool{maxCounted: false, -1: true} {
		if err := CheckTimers([]*record.PosixTimer{{Id: id}}, byID); err == nil {
			t.Errorf("id %d, told %v: no error", id, byID)
		}
	}
}

// TestExpire: a timer that expires at once has missed as many expirations as are asked
// for, and comes to the next one as late as it would have.
func TestExpire(t *testing.T) {
	const now, left, interval = 1_000_000, 30, 100
	for name, c := range map[string]struct {
		timer    record.PosixTimer
		missed   int64
		now      int64
		at       uint64
		interval uint64
	}{
		"once":            {record.PosixTimer{}, 0, now, 1, 0},
		"periodic":        {record.PosixTimer{ValueNs: left, IntervalNs: interval}, 0, now, now + left - interval, interval},
		"three missed":    {record.PosixTimer{ValueNs: left, IntervalNs: interval}, 3, now, now + left - 4*interval, interval},
		"before the boot": {record.PosixTimer{ValueNs: left, IntervalNs: interval}, 1 << 20, now, 1, interval},
		"no such number":  {record.PosixTimer{ValueNs: left, IntervalNs: 1 << 62}, 1 << 40, now, 1, 1 << 62},
		"negative":        {record.PosixTimer{ValueNs: left, IntervalNs: interval}, -5, now, 1, interval},
		"CPU time":        {record.PosixTimer{ValueNs: left, IntervalNs: interval}, 3, 0, 1, interval},
		"stale":           {record.PosixTimer{ValueNs: left, IntervalNs: interval, Stale: true}, 3, now, 1, 0},
	} {
		call := Expire(&c.timer, c.missed, c.now)
		b := call.Args[2].Bytes
		le := binary.LittleEndian
		if got := le.Uint64(b)*1e9 + le.Uint64(b[8:]); got != c.interval {
			t.Errorf("%s: interval %d, want %d", name, got, c.interval)
		}
		if got := le.Uint64(b[16:])*1e9 + le.Uint64(b[24:]); got != c.at || call.Args[1].Val != timerAbstime {
			t.Errorf("%s: at %d, want %d; flags %d", name, got, c.at, call.Args[1].Val)
		}
	}
}
