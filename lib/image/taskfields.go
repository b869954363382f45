package image

import (
	"encoding/binary"
	"slices"

	"golang.org/x/sys/unix"

	"floe/lib/attr"
	"floe/lib/record"
)

// Numbers of the kernel's that a record may have, and no others: what restore
// gives to a system call would fail there, or do something else.
const (
	maxOOMAdj   = 1000 // OOM_SCORE_ADJ_MAX
	maxDumpable = 2    // SUID_DUMP_ROOT
	coreFlag    = 0x80 // of a wait status
)

// checkLife checks how a task is stopped, or has ended.
func checkLife(t *record.Task) error {
	switch t.State {
	case record.Task_STOPPED:
		switch unix.Signal(t.StopSignal) {
		case 0, unix.SIGSTOP, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU:
		default:
			return taskError(t, "it was stopped by signal %d, which stops nothing", t.StopSignal)
		}
	case record.Task_ZOMBIE:
		status := t.ExitCode
		signal := status &^ coreFlag
		if status&^0xff00 != 0 && (signal == 0 || signal > signals || signal == 0x7f) {
			return taskError(t, "it ended with status %#x: there is no such status", status)
		}
	}
	return nil
}

// checkTaskFields checks what a live task's record says of the process alone.
func checkTaskFields(t *record.Task) error {
	switch {
	case t.OomScoreAdj < -maxOOMAdj || t.OomScoreAdj > maxOOMAdj:
		return taskError(t, "oom_score_adj %d", t.OomScoreAdj)
	case t.Dumpable > maxDumpable:
		return taskError(t, "dumpable %d", t.Dumpable)
	}
	for r, l := range t.Limits {
		if l.Cur > l.Max {
			return taskError(t, "its limit %d is %d, above its hard limit %d", r, l.Cur, l.Max)
		}
	}
	if err := attr.CheckProcess(t); err != nil {
		return taskError(t, "%w", err)
	}
	return nil
}

// Notifications of timer_create(2), <asm-generic/siginfo.h>.
const (
	sigevNone     = 1
	sigevThreadID = 4
)

// checkTimers checks a task's POSIX timers; threads are its thread ids.
func checkTimers(t *record.Task, threads map[int32]bool) error {
	ids := make(map[int32]bool, len(t.PosixTimers))
	for _, p := range t.PosixTimers {
		if p.Owner != 0 && !slices.Contains(t.Tids, p.Owner) {
			return taskError(t, "POSIX timer %d counts the time of thread %d, which is not its own", p.Id, p.Owner)
		}
		switch {
		case p.Id < 0 || ids[p.Id]:
			return taskError(t, "timer %d is listed twice, or can't be", p.Id)
		case p.Tid != 0 && !threads[p.Tid]:
			return taskError(t, "timer %d: it signals thread %d, which is not one of the task's", p.Id, p.Tid)
		case p.Notify < 0 || p.Notify > 2 && p.Notify != sigevThreadID || p.Notify == sigevThreadID && p.Tid == 0:
			return taskError(t, "timer %d: it notifies in way %d, which there is not", p.Id, p.Notify)
		case !timerClock(p.Clock):
			return taskError(t, "timer %d: of clock %d, of which there are no timers", p.Id, p.Clock)
		case p.Notify != sigevNone && (p.Signo <= 0 || p.Signo > signals):
			return taskError(t, "timer %d: signal %d: there is no such signal", p.Id, p.Signo)
		}
		ids[p.Id] = true
	}
	return nil
}

// timerClock tells whether timer_create(2) takes a clock. A negative one is of the
// CPU time of some task, and its lowest bits say which time.
func timerClock(c int32) bool {
	const sorts, lastSort = 3, 2 // CPUCLOCK_CLOCK_MASK, CPUCLOCK_SCHED
	if c < 0 {
		return c&sorts <= lastSort
	}
	switch c {
	case unix.CLOCK_REALTIME, unix.CLOCK_MONOTONIC, unix.CLOCK_PROCESS_CPUTIME_ID, unix.CLOCK_THREAD_CPUTIME_ID,
		unix.CLOCK_BOOTTIME, unix.CLOCK_REALTIME_ALARM, unix.CLOCK_BOOTTIME_ALARM, unix.CLOCK_TAI:
		return true
	}
	return false
}

// checkPending checks signals that wait for a task or a thread of it.
func checkPending(t *record.Task, list []*record.SigInfo) error {
	for _, s := range list {
		if len(s.Raw) != sizeSigInfo {
			return taskError(t, "a pending signal has %d bytes of siginfo, not %d", len(s.Raw), sizeSigInfo)
		}
		switch n := binary.LittleEndian.Uint32(s.Raw); {
		case n == 0 || n > signals:
			return taskError(t, "signal %d is pending: there is no such signal", n)
		case n == uint32(unix.SIGKILL):
			return taskError(t, "SIGKILL is pending: such a task is dead")
		}
	}
	return nil
}
