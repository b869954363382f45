package freezer

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"golang.org/x/sys/unix"

	"floe/lib/plan"
	"floe/lib/record"
	"floe/lib/taskiter"
)

// timersIn adds the timers whose signals are in a queue, by id: what the signals have
// as si_sys_private, 32 bytes into a siginfo_t.
func timersIn(ids map[int32]uint32, queue []*record.SigInfo) {
	const private = 32
	for _, s := range queue {
		if id, ok := plan.TimerSignal(s.Raw); ok {
			ids[id] = binary.LittleEndian.Uint32(s.Raw[private:])
		}
	}
}

// posixTimers completes what is known of a process's timers, of those in queued the
// signal is pending. The kernel shows some of it to a BPF program only: where this
// process may not ask it, a timer whose signal is pending is taken as one that has missed
// nothing and was not set anew.
func (c *collector) posixTimers(pid int, task *record.Task, queued map[int32]uint32) error {
	if len(task.PosixTimers) == 0 {
		return nil
	}
	anew := false
	for _, t := range task.PosixTimers {
		// A SIGTRAP is queued the last of all; see plan.Traps.
		_, in := queued[t.Id]
		if t.Pending = in && t.Signo != int32(unix.SIGTRAP); t.Pending && t.IntervalNs != 0 {
			anew = true // what it has missed grows: it was just counted
		}
	}
	p := c.kernel.process(pid, anew)
	if p == nil {
		p = &taskiter.Process{}
	} else {
		task.NextTimer = uint32(p.NextID&math.MaxInt32) + 1
	}
	for _, t := range task.PosixTimers {
		more := p.Timers[t.Id]
		if more == nil {
			t.Stale = t.Pending && t.ValueNs != 0 && t.IntervalNs == 0
		} else if t.Pending {
			t.Stale, t.Missed = more.Stale(queued[t.Id]), max(more.Missed, 0)
		}
		if !ofThread(t.Clock) || len(task.Tids) == 1 {
			continue
		}
		if more == nil {
			return fmt.Errorf("POSIX timer %d counts the CPU time of one of its threads, and only a BPF program can tell of which: freeze needs CAP_BPF and CAP_PERFMON, and a kernel with BTF (%v)", t.Id, c.kernel.failed)
		}
		if slices.Contains(task.Tids, more.Owner) {
			t.Owner = more.Owner
		}
	}
	return nil
}

// ofThread tells whether a clock is the CPU time of the thread that has made the
// timer: CPUCLOCK_PERTHREAD of thread 0.
func ofThread(clock int32) bool {
	const perThread = 4
	return clock>>3 == -1 && clock&perThread != 0
}
