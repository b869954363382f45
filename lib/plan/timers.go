package plan

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"iter"
	"slices"

	"golang.org/x/sys/unix"

	"floe/lib/record"
	"floe/lib/stub"
)

// Itimers plans setitimer(2)'s timers, which run from then on.
func Itimers(list []*record.Itimer) []stub.Call {
	var calls []stub.Call
	for which, t := range list {
		if t.ValueUs == 0 && t.IntervalUs == 0 {
			continue
		}
		b := make([]byte, 0, 32)
		for _, us := range []uint64{t.IntervalUs, t.ValueUs} {
			b = binary.LittleEndian.AppendUint64(b, us/1e6)
			b = binary.LittleEndian.AppendUint64(b, us%1e6)
		}
		calls = append(calls, stub.Call{What: fmt.Sprintf("setitimer %d", which), Nr: unix.SYS_SETITIMER,
			Args: []stub.Arg{stub.I(which), stub.D(b), stub.I(0)}})
	}
	return calls
}

// CheckTimers checks that PosixTimers can make timers. byID: the kernel makes one
// with an id that it is told, which Linux 6.15 and later do.
func CheckTimers(list []*record.PosixTimer, byID bool) error {
	for _, t := range list {
		if t.Id < 0 || !byID && t.Id >= maxCounted {
			return fmt.Errorf("POSIX timer %d: this kernel numbers timers itself, and only ids below %d can be had by counting; Linux 6.15 makes a timer with any id", t.Id, maxCounted)
		}
	}
	return nil
}

// CheckAlarms checks that a task may still have timers that wake the machine up.
func CheckAlarms(t *record.Task, effective uint64) error {
	for _, p := range t.PosixTimers {
		if alarm := p.Clock == unix.CLOCK_REALTIME_ALARM || p.Clock == unix.CLOCK_BOOTTIME_ALARM; alarm && effective>>unix.CAP_WAKE_ALARM&1 == 0 {
			return fmt.Errorf("POSIX timer %d: it wakes the machine up, and the task has no CAP_WAKE_ALARM any more to make such a timer", p.Id)
		}
	}
	return nil
}

// PosixTimers plans timer_create(2)'s timers, a part of the calls at a time; they
// begin to run with the last part. A kernel that isn't told the ids (byID) numbers
// a process's timers from 0 and uses no id twice: those between are made, each
// deleted before the next is made, for a timer takes one of the signals that its
// user may have queued (RLIMIT_SIGPENDING).
func PosixTimers(list []*record.PosixTimer, byID bool) iter.Seq[[]stub.Call] {
	list = slices.SortedFunc(slices.Values(list), func(a, b *record.PosixTimer) int { return cmp.Compare(a.Id, b.Id) })
	return func(yield func([]stub.Call) bool) {
		var calls, settime []stub.Call
		more := true
		add := func(c ...stub.Call) {
			if calls = append(calls, c...); len(calls) >= timersAtATime && more {
				more, calls = yield(calls), nil
			}
		}
		if byID && len(list) > 0 {
			add(restoreIDs(1))
		}
		next := int32(0)
		for _, t := range list {
			for ; more && !byID && next < t.Id; next++ {
				add(timerCreate(&record.PosixTimer{Id: next, Clock: unix.CLOCK_MONOTONIC, Notify: sigevNone}), timerDelete(next))
			}
			add(timerCreate(t))
			next = t.Id + 1
			if t.ValueNs != 0 {
				settime = append(settime, timerSettime(t))
			}
		}
		if byID && len(list) > 0 {
			add(restoreIDs(0))
		}
		if more {
			yield(append(calls, settime...))
		}
	}
}

const (
	// maxCounted bounds the ids that are counted up to: seconds.
	maxCounted = 1 << 20
	// timersAtATime is how many calls a part of the plan has, at least.
	timersAtATime = 1024

	prTimerCreateRestoreIDs = 77 // <linux/prctl.h>, 6.15
	sigevNone               = 1
)

// restoreIDs has timer_create take the id from where it puts it otherwise, or not.
func restoreIDs(on int) stub.Call {
	return prctl("ids of timers", stub.I(prTimerCreateRestoreIDs), stub.I(on))
}

func timerDelete(id int32) stub.Call {
	return stub.Call{What: fmt.Sprintf("timer_delete %d", id), Nr: unix.SYS_TIMER_DELETE, Args: []stub.Arg{stub.I(id)}}
}

// timerCreate builds struct sigevent: value, signo, notify, tid; 64 bytes.
func timerCreate(t *record.PosixTimer) stub.Call {
	ev := make([]byte, 64)
	le := binary.LittleEndian
	le.PutUint64(ev, t.Sigval)
	le.PutUint32(ev[8:], uint32(t.Signo))
	le.PutUint32(ev[12:], uint32(t.Notify))
	le.PutUint32(ev[16:], uint32(t.Tid))
	return stub.Call{What: fmt.Sprintf("timer_create %d", t.Id), Nr: unix.SYS_TIMER_CREATE,
		Args: []stub.Arg{stub.I(t.Clock), stub.D(ev), stub.D(le.AppendUint32(nil, uint32(t.Id)))}}
}

func timerSettime(t *record.PosixTimer) stub.Call {
	b := make([]byte, 0, 32)
	for _, ns := range []uint64{t.IntervalNs, t.ValueNs} {
		b = binary.LittleEndian.AppendUint64(b, ns/1e9)
		b = binary.LittleEndian.AppendUint64(b, ns%1e9)
	}
	return stub.Call{What: fmt.Sprintf("timer_settime %d", t.Id), Nr: unix.SYS_TIMER_SETTIME,
		Args: []stub.Arg{stub.I(t.Id), stub.I(0), stub.D(b), stub.I(0)}}
}
