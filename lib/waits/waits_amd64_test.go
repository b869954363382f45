package waits

import (
	"bytes"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"floe/lib/record"
	"floe/lib/stub"
	"floe/lib/taskiter"
)

// interrupted is a thread that was interrupted in a call.
func interrupted(left int64, nr uint64, args ...uint64) *record.Thread {
	a := append(args, make([]uint64, 6-len(args))...)
	return &record.Thread{Regs: &record.RegsAmd64{Rdi: a[0], Rsi: a[1], Rdx: a[2], R10: a[3], R8: a[4], R9: a[5]},
		Restart: &record.Restart{Kind: record.Restart_BLOCK, Nr: nr, RemainingNs: left}, Creds: &record.Creds{}}
}

const ns = 1_500_000_001

// left is the timespec of ns.
var left = []byte{1, 0, 0, 0, 0, 0, 0, 0, 0x01, 0x65, 0xcd, 0x1d, 0, 0, 0, 0}

// TestAgain: each call gets the time that was left where it takes it, and else its
// own arguments.
func TestAgain(t *testing.T) {
	const at = ^uint64(0) // where the time is
	for name, c := range map[string]struct {
		th   *record.Thread
		want []uint64
	}{
		"nanosleep":       {interrupted(ns, unix.SYS_NANOSLEEP, 0x1000, 0x2000), []uint64{at, 0x2000}},
		"clock_nanosleep": {interrupted(ns, unix.SYS_CLOCK_NANOSLEEP, 7, 0, 0x1000, 0x2000), []uint64{7, 0, at, 0x2000}},
		"poll":            {interrupted(ns, unix.SYS_POLL, 0x1000, 3, 60000), []uint64{0x1000, 3, 1501}},
		"long poll":       {interrupted(1<<62, unix.SYS_POLL, 0x1000, 3, 60000), []uint64{0x1000, 3, 1<<31 - 1}},
		"futex":           {interrupted(ns, unix.SYS_FUTEX, 0x1000, 128, 5, 0x2000, 6, 7), []uint64{0x1000, 128, 5, at, 6, 7}},

		"sleep until":           {interrupted(ns, unix.SYS_CLOCK_NANOSLEEP, 1, 1, 0x1000), nil},
		"poll for ever":         {interrupted(ns, unix.SYS_POLL, 0x1000, 3, 0xffffffff), nil},
		"futex for ever":        {interrupted(ns, unix.SYS_FUTEX, 0x1000, 128, 5), nil},
		"futex until":           {interrupted(ns, unix.SYS_FUTEX, 0x1000, 9, 5, 0x2000, 0, 7), nil},
		"who knows":             {interrupted(-1, unix.SYS_NANOSLEEP, 0x1000), nil},
		"another call":          {interrupted(ns, unix.SYS_READ, 0, 0x1000, 5), nil},
		"not interrupted":       {&record.Thread{Regs: &record.RegsAmd64{}}, nil},
		"of no known registers": {&record.Thread{Restart: &record.Restart{Kind: record.Restart_BLOCK}}, nil},
	} {
		got := Again(c.th)
		if got == nil || c.want == nil {
			if got != nil || c.want != nil {
				t.Errorf("%s: %v", name, got)
			}
			continue
		}
		var args []uint64
		for _, a := range got.Args {
			if a.Kind == stub.Data {
				if !bytes.Equal(a.Bytes, left) {
					t.Errorf("%s: time %x", name, a.Bytes)
				}
				a.Val = at
			}
			args = append(args, a.Val)
		}
		if got.Nr != c.th.Restart.Nr || !slices.Equal(args, c.want) {
			t.Errorf("%s: call %d%x, want %x", name, got.Nr, args, c.want)
		}
	}
}

// TestDeadline: what the kernel keeps counts for the call that left it there.
func TestDeadline(t *testing.T) {
	b := &taskiter.Task{Sleep: taskiter.Sleep{Clock: 1, Deadline: 5}, Poll: taskiter.Poll{FDs: 0x1000, N: 3, Timed: true, Deadline: 6},
		Futex: taskiter.FutexWait{Addr: 0x1000, Val: 3, Deadline: 7}}
	for name, c := range map[string]struct {
		th    *record.Thread
		clock int32
		ns    int64
		ok    bool
	}{
		"nanosleep":     {interrupted(0, unix.SYS_NANOSLEEP, 0x1000), 1, 5, true},
		"realtime":      {interrupted(0, unix.SYS_CLOCK_NANOSLEEP, 0, 0, 0x1000), 1, 5, true}, // as the kernel counts it
		"alarm":         {interrupted(0, unix.SYS_CLOCK_NANOSLEEP, 9, 0, 0x1000), 7, 5, true},
		"CPU time":      {interrupted(0, unix.SYS_CLOCK_NANOSLEEP, 2, 0, 0x1000), ^int32(40)<<3 | 2, 5, true},
		"poll":          {interrupted(0, unix.SYS_POLL, 0x1000, 3, 10), 1, 6, true},
		"another poll":  {interrupted(0, unix.SYS_POLL, 0x1000, 4, 10), 1, 6, false},
		"futex":         {interrupted(0, unix.SYS_FUTEX, 0x1000, 0, 3, 0x2000), 1, 7, true},
		"another futex": {interrupted(0, unix.SYS_FUTEX, 0x2000, 0, 3, 0x2000), 1, 7, false},
		"another call":  {interrupted(0, unix.SYS_READ), 0, 0, false},
	} {
		clock, ns, ok := Deadline(40, c.th.Restart.Nr, c.th.Regs, b)
		if clock != c.clock || ns != c.ns || ok != c.ok {
			t.Errorf("%s: clock %d, %d ns, %t; want %d, %d, %t", name, clock, ns, ok, c.clock, c.ns, c.ok)
		}
	}
}

// TestCheck: an alarm clock asks for a capability.
func TestCheck(t *testing.T) {
	for clock := range uint64(12) {
		th := interrupted(ns, unix.SYS_CLOCK_NANOSLEEP, clock, 0, 0x1000)
		if err := Check(th); (err != nil) != (clock == unix.CLOCK_REALTIME_ALARM || clock == unix.CLOCK_BOOTTIME_ALARM) {
			t.Errorf("clock %d: %v", clock, err)
		}
		th.Creds.CapEffective = 1 << unix.CAP_WAKE_ALARM
		if err := Check(th); err != nil {
			t.Errorf("clock %d: %v", clock, err)
		}
	}
}
