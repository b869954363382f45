package plan

import (
	"encoding/binary"
	"math"

	"golang.org/x/sys/unix"

	"floe/lib/record"
	"floe/lib/stub"
)

// A timer whose signal is pending is brought to that by its own expiry: the kernel
// counts what such a timer misses until its signal is delivered, queues no second
// signal of it meanwhile, and knows a signal from before the timer was set anew. None of
// that is so for a copy of the signal.

const (
	timerAbstime = 1
	siTimer      = -2
)

// TimerSignal is the id of the timer that has queued a signal; ok is false for other
// signals. siginfo_t: signo, errno, code, 4 bytes, then the timer's id.
func TimerSignal(raw []byte) (id int32, ok bool) {
	le := binary.LittleEndian
	if len(raw) < 20 || int32(le.Uint32(raw[8:])) != siTimer {
		return 0, false
	}
	return int32(le.Uint32(raw[16:])), true
}

// Counted tells whether timer_getoverrun(2) has something to tell of a timer that runs:
// it gets that by expiring once.
func Counted(t *record.PosixTimer) bool {
	return t.Overrun > 0 && !t.Pending && t.ValueNs != 0 && t.IntervalNs != 0 && t.Notify&3 != sigevNone && t.Signo > 0
}

// Expire plans that a timer expires at once. A periodic one begins so far in the past
// that it has missed as many expirations, and comes to its next one as late as it
// would have. now is the time of its clock, as its task has it; 0: CPU time, which
// begins anew.
func Expire(t *record.PosixTimer, missed int64, now int64) stub.Call {
	at, interval := int64(1), t.IntervalNs
	if t.Stale {
		interval = 0
	}
	if n := missed + 1; interval > 0 && n >= 0 && interval <= uint64(math.MaxInt64/(n+1)) && now > 0 {
		at = max(now+int64(min(t.ValueNs, interval))-n*int64(interval), 1)
	}
	return timerSettime(t, timerAbstime, uint64(at), interval)
}

// SetAnew plans what was done with a stale timer since its signal was queued.
func SetAnew(t *record.PosixTimer) stub.Call { return timerSettime(t, 0, t.ValueNs, t.IntervalNs) }

// Take plans that one signal of a timer is taken from the queue, as by delivery.
func Take(t *record.PosixTimer) stub.Call {
	set := binary.LittleEndian.AppendUint64(nil, 1<<(t.Signo-1))
	return stub.Call{What: "sigtimedwait", Nr: unix.SYS_RT_SIGTIMEDWAIT,
		Args: []stub.Arg{stub.D(set), stub.I(0), stub.D(make([]byte, 16)), stub.I(sigSetSize)}}
}
