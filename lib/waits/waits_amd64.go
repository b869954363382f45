package waits

import (
	"encoding/binary"
	"fmt"
	"math"

	"golang.org/x/sys/unix"

	"floe/lib/record"
	"floe/lib/stub"
	"floe/lib/taskiter"
)

// kind is what a call waits for.
type kind int

const (
	none kind = iota
	sleep
	poll
	futex
)

const (
	timerAbstime  = 1
	futexCommands = 0x7f // less FUTEX_PRIVATE_FLAG, FUTEX_CLOCK_REALTIME
	futexWait     = 0
)

// kindOf is what a thread waits for that was interrupted in call nr.
func kindOf(nr uint64, r *record.RegsAmd64) kind {
	switch {
	case nr == unix.SYS_NANOSLEEP, nr == unix.SYS_CLOCK_NANOSLEEP && r.Rsi&timerAbstime == 0:
		return sleep
	case nr == unix.SYS_POLL && int32(r.Rdx) >= 0:
		return poll
	case nr == unix.SYS_FUTEX && r.Rsi&futexCommands == futexWait && r.R10 != 0:
		return futex
	}
	return none
}

// Relative tells whether call nr of a thread with these registers waits for a
// relative time.
func Relative(nr uint64, r *record.RegsAmd64) bool { return kindOf(nr, r) != none }

// Deadline is when the wait of a thread of process pid ends that was interrupted in
// call nr, and by which of the boot's clocks. ok is false where the block belongs to
// another call.
func Deadline(pid int, nr uint64, r *record.RegsAmd64, b *taskiter.Task) (clock int32, ns int64, ok bool) {
	switch kindOf(nr, r) {
	case sleep:
		clock = b.Sleep.Clock
		if nr == unix.SYS_CLOCK_NANOSLEEP {
			switch asked := int32(r.Rdi); asked {
			case unix.CLOCK_REALTIME_ALARM:
				clock = unix.CLOCK_REALTIME
			case unix.CLOCK_BOOTTIME_ALARM:
				clock = unix.CLOCK_BOOTTIME
			case unix.CLOCK_PROCESS_CPUTIME_ID:
				clock = ^int32(pid)<<3 | asked // CPUCLOCK_SCHED of that process
			}
		}
		return clock, b.Sleep.Deadline, true
	case poll:
		return unix.CLOCK_MONOTONIC, b.Poll.Deadline, b.Poll.Timed && b.Poll.FDs == r.Rdi && b.Poll.N == int32(r.Rsi)
	case futex:
		return unix.CLOCK_MONOTONIC, b.Futex.Deadline, b.Futex.Addr == r.Rdi && b.Futex.Val == uint32(r.Rdx)
	}
	return 0, 0, false
}

// RemSize is what Rem points to: struct timespec, bytes.
const RemSize = 16

// Rem is where a sleep that was interrupted has written the time that was left; 0:
// nowhere.
func Rem(nr uint64, r *record.RegsAmd64) uint64 {
	switch {
	case kindOf(nr, r) != sleep:
		return 0
	case nr == unix.SYS_NANOSLEEP:
		return r.Rsi
	}
	return r.R10
}

// Again is the call that a thread was interrupted in, with the time that was left;
// nil where it needs none of that: it is made again from its arguments.
func Again(t *record.Thread) *stub.Call {
	if t.Restart.GetKind() != record.Restart_BLOCK || t.Restart.RemainingNs < 0 || t.Regs == nil {
		return nil
	}
	r, nr := t.Regs, t.Restart.Nr
	left := stub.D(timespec(t.Restart.RemainingNs))
	c := &stub.Call{What: "wait for the time that was left", Nr: nr}
	switch kindOf(nr, r) {
	case sleep:
		if c.Args = []stub.Arg{left, stub.I(r.Rsi)}; nr == unix.SYS_CLOCK_NANOSLEEP {
			c.Args = []stub.Arg{stub.I(r.Rdi), stub.I(r.Rsi), left, stub.I(r.R10)}
		}
	case poll:
		c.Args = []stub.Arg{stub.I(r.Rdi), stub.I(r.Rsi), stub.I(milliseconds(t.Restart.RemainingNs))}
	case futex:
		c.Args = []stub.Arg{stub.I(r.Rdi), stub.I(r.Rsi), stub.I(r.Rdx), left, stub.I(r.R8), stub.I(r.R9)}
	default:
		return nil
	}
	return c
}

// Check checks that a thread may make its wait again: a clock that wakes the machine
// up asks for CAP_WAKE_ALARM each time.
func Check(t *record.Thread) error {
	if t.Restart.GetKind() != record.Restart_BLOCK || t.Restart.Nr != unix.SYS_CLOCK_NANOSLEEP || t.Creds.CapEffective>>unix.CAP_WAKE_ALARM&1 != 0 {
		return nil
	}
	if clock := int32(t.Regs.Rdi); clock == unix.CLOCK_REALTIME_ALARM || clock == unix.CLOCK_BOOTTIME_ALARM {
		return fmt.Errorf("thread %d: it sleeps by a clock that wakes the machine up, and has no CAP_WAKE_ALARM any more to begin that again", t.Tid)
	}
	return nil
}

func timespec(ns int64) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(ns/1e9))
	return binary.LittleEndian.AppendUint64(b, uint64(ns%1e9))
}

// milliseconds is what poll(2) takes: whole ones, and never less than is left.
func milliseconds(ns int64) int {
	return int(min((ns+1e6-1)/1e6, math.MaxInt32))
}
