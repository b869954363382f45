package plan

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"iter"
	"math"
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

// PosixTimers plans timer_create(2)'s timers, a part of the calls at a time, for the
// thread of the process that has to run it; 0: for any. They do not run yet. A kernel
// that isn't told the ids (byID) numbers a process's timers from 0 and uses no id
// twice: those between are made, each deleted before the next is made, for a timer
// takes one of the signals that its user may have queued (RLIMIT_SIGPENDING). The id
// that comes next is one more than that of the timer that was made last.
func PosixTimers(t *record.Task, byID bool) iter.Seq2[int32, []stub.Call] {
	list := slices.SortedFunc(slices.Values(t.PosixTimers), func(a, b *record.PosixTimer) int { return cmp.Compare(a.Id, b.Id) })
	none := func(id int32) *record.PosixTimer {
		return &record.PosixTimer{Id: id, Clock: unix.CLOCK_MONOTONIC, Notify: sigevNone}
	}
	return func(yield func(int32, []stub.Call) bool) {
		b := &batch{yield: yield, more: true}
		if len(list) == 0 {
			return
		}
		if byID {
			last := int32(t.NextTimer-2) & math.MaxInt32
			if i := slices.IndexFunc(list, func(p *record.PosixTimer) bool { return p.Id == last }); t.NextTimer != 0 && i >= 0 {
				list = append(slices.Delete(slices.Clone(list), i, i+1), list[i])
			}
			b.add(0, restoreIDs(1))
			for _, p := range list {
				b.add(p.Owner, timerCreate(p))
			}
			if t.NextTimer != 0 && list[len(list)-1].Id != last {
				b.add(0, timerCreate(none(last)), timerDelete(last))
			}
			b.add(0, restoreIDs(0))
			b.flush()
			return
		}
		next := int32(0)
		count := func(to int32) {
			for ; b.more && next < to; next++ {
				b.add(0, timerCreate(none(next)), timerDelete(next))
			}
		}
		for _, p := range list {
			count(p.Id)
			b.add(p.Owner, timerCreate(p))
			next = p.Id + 1
		}
		count(min(int32(t.NextTimer)-1, maxCounted))
		b.flush()
	}
}

// batch gives out calls in parts, each for one thread.
type batch struct {
	yield func(int32, []stub.Call) bool
	more  bool
	tid   int32
	calls []stub.Call
}

func (b *batch) add(tid int32, calls ...stub.Call) {
	if tid != b.tid || len(b.calls) >= timersAtATime {
		b.flush()
	}
	b.tid, b.calls = tid, append(b.calls, calls...)
}

func (b *batch) flush() {
	if len(b.calls) > 0 && b.more {
		b.more = b.yield(b.tid, b.calls)
	}
	b.calls = nil
}

// StartTimers plans the timers that run, less those that do so already: whose signal
// is pending, or has told of missed expirations (see Expire).
func StartTimers(list []*record.PosixTimer) []stub.Call {
	var calls []stub.Call
	for _, t := range list {
		if t.ValueNs != 0 && !t.Pending && !Counted(t) {
			calls = append(calls, timerSettime(t, 0, t.ValueNs, t.IntervalNs))
		}
	}
	return calls
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

// timerSettime sets a timer; flags may have timerAbstime.
func timerSettime(t *record.PosixTimer, flags int, value, interval uint64) stub.Call {
	b := make([]byte, 0, 32)
	for _, ns := range []uint64{interval, value} {
		b = binary.LittleEndian.AppendUint64(b, ns/1e9)
		b = binary.LittleEndian.AppendUint64(b, ns%1e9)
	}
	return stub.Call{What: fmt.Sprintf("timer_settime %d", t.Id), Nr: unix.SYS_TIMER_SETTIME,
		Args: []stub.Arg{stub.I(t.Id), stub.I(flags), stub.D(b), stub.I(0)}}
}
