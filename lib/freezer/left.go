package freezer

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"floe/lib/clocks"
	"floe/lib/record"
	"floe/lib/tracer"
	"floe/lib/waits"
)

// left finds out what is left of the relative wait that a thread was interrupted in.
// The kernel has the deadline; where it doesn't let this process see it, a sleep
// has mostly been told the time that was left when it was interrupted.
func (c *collector) left(th *Thread, r *record.Thread) error {
	w := r.Restart
	if w == nil || w.Kind != record.Restart_BLOCK || !waits.Relative(w.Nr, r.Regs) {
		return nil
	}
	if t := c.kernel.task(int(r.Pid), int(th.TID)); t != nil {
		if clock, deadline, ok := waits.Deadline(int(r.Pid), w.Nr, r.Regs, t); ok {
			now, err := bootClock(clock)
			if err != nil {
				return err
			}
			w.RemainingNs = max(deadline-now, 0)
			return nil
		}
	}
	w.RemainingNs = remainder(th, waits.Rem(w.Nr, r.Regs))
	return nil
}

// bootClock reads a clock as a task of the initial time namespace does.
func bootClock(clock int32) (int64, error) {
	own, err := clocks.Own()
	if err != nil {
		return 0, err
	}
	var now unix.Timespec
	if err := unix.ClockGettime(clock, &now); err != nil {
		return 0, err
	}
	switch clock {
	case unix.CLOCK_MONOTONIC:
		return now.Nano() - own.Monotonic, nil
	case unix.CLOCK_BOOTTIME:
		return now.Nano() - own.Boottime, nil
	}
	return now.Nano(), nil
}

// remainder reads a struct timespec: nanoseconds, or -1 when there is none.
func remainder(th *Thread, at uint64) int64 {
	var b [waits.RemSize]byte
	if at == 0 || tracer.ReadMem(th.TID, tracer.Addr(at), b[:]) != nil {
		return -1
	}
	sec, nsec := int64(binary.LittleEndian.Uint64(b[:])), int64(binary.LittleEndian.Uint64(b[8:]))
	const most = 1 << 33 // seconds: what fits into nanoseconds
	if sec < 0 || sec > most || nsec < 0 || nsec >= 1e9 {
		return -1
	}
	return sec*1e9 + nsec
}
