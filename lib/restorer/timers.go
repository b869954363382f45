package restorer

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"floe/lib/clocks"
	"floe/lib/kabi"
	"floe/lib/plan"
	"floe/lib/record"
	"floe/lib/stub"
	"floe/lib/tracer"
)

// makeTimers makes a process's POSIX timers. Those whose last signal told of
// expirations that were missed expire once, and the signal is taken: it is what
// timer_getoverrun(2) goes by.
func (r *Restorer) makeTimers(p *tracer.Ptrace, t *record.Task) error {
	for tid, calls := range plan.PosixTimers(t, kabi.TimerIDs.Here()) {
		if tid == 0 {
			tid = t.Pid
		}
		if _, err := r.arena.Run(p, tracer.TID(tid), calls); err != nil {
			return err
		}
	}
	for _, pt := range t.PosixTimers {
		if !plan.Counted(pt) {
			continue
		}
		if err := r.expire(p, t, pt, int64(pt.Overrun)); err != nil {
			return err
		}
		in, _ := queueOf(t, pt)
		if _, err := r.arena.Run(p, in, []stub.Call{plan.Take(pt)}); err != nil {
			return err
		}
	}
	return nil
}

// queueOf is a thread in whose reach a timer's signal is queued, and whether for all.
func queueOf(t *record.Task, pt *record.PosixTimer) (tid tracer.TID, shared bool) {
	const threadID = 4 // SIGEV_THREAD_ID
	if pt.Notify&threadID != 0 {
		return tracer.TID(pt.Tid), false
	}
	return tracer.TID(t.Pid), true
}

// expire has a timer expire, and waits until its signal is queued.
func (r *Restorer) expire(p *tracer.Ptrace, t *record.Task, pt *record.PosixTimer, missed int64) error {
	now, err := r.taskClock(pt.Clock)
	if err != nil {
		return err
	}
	if _, err := r.arena.Run(p, tracer.TID(t.Pid), []stub.Call{plan.Expire(pt, missed, now)}); err != nil {
		return err
	}
	const patience = 5 * time.Second
	tid, shared := queueOf(t, pt)
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Microsecond) {
		queue, err := p.PeekSigInfo(tid, shared)
		if err != nil {
			return err
		}
		for _, info := range queue {
			if id, ok := plan.TimerSignal(info[:]); ok && id == pt.Id {
				return nil
			}
		}
		if time.Now().After(end) {
			return fmt.Errorf("POSIX timer %d does not expire", pt.Id)
		}
	}
}

// taskClock is the time of a clock as the tree's tasks have it, or 0 for CPU time.
func (r *Restorer) taskClock(clock int32) (int64, error) {
	own, err := clocks.Own()
	if err != nil {
		return 0, err
	}
	shift := int64(0)
	switch clock {
	case unix.CLOCK_MONOTONIC:
		shift = r.clocks.Monotonic - own.Monotonic
	case unix.CLOCK_BOOTTIME, unix.CLOCK_BOOTTIME_ALARM:
		clock, shift = unix.CLOCK_BOOTTIME, r.clocks.Boottime-own.Boottime
	case unix.CLOCK_REALTIME, unix.CLOCK_REALTIME_ALARM:
		clock = unix.CLOCK_REALTIME
	case unix.CLOCK_TAI:
	default:
		return 0, nil
	}
	var now unix.Timespec
	if err := unix.ClockGettime(clock, &now); err != nil {
		return 0, fmt.Errorf("clock %d: %w", clock, err)
	}
	return now.Nano() + shift, nil
}
