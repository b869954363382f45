package plan

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/record"
	"floe/lib/stub"
)

const sigSetSize = 8

// siDrain bounds how many signals a puppet may have got from elsewhere.
const siDrain = 4

// Drain takes from a puppet's queues what came while its tree was made.
func Drain() []stub.Call {
	all := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	call := stub.Call{
		What: "sigtimedwait", Nr: unix.SYS_RT_SIGTIMEDWAIT, MayFail: true,
		Args: []stub.Arg{stub.D(all), stub.I(0), stub.D(make([]byte, 16)), stub.I(sigSetSize)},
	}
	var calls []stub.Call
	for range siDrain {
		calls = append(calls, call)
	}
	return calls
}

// Actions plans the signal actions: those that Defaults has not set for all.
func Actions(list []*record.SigAction) []stub.Call {
	var calls []stub.Call
	for i, a := range list {
		sig := i + 1
		if sig == int(unix.SIGKILL) || sig == int(unix.SIGSTOP) || a.Handler == 0 && a.Flags == 0 && a.Restorer == 0 && a.Mask == 0 {
			continue
		}
		calls = append(calls, action(sig, a))
	}
	return calls
}

func action(sig int, a *record.SigAction) stub.Call {
	b := make([]byte, 0, 32)
	for _, v := range []uint64{a.Handler, a.Flags, a.Restorer, a.Mask} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return stub.Call{
		What: fmt.Sprintf("sigaction of signal %d", sig), Nr: unix.SYS_RT_SIGACTION,
		Args: []stub.Arg{stub.I(sig), stub.D(b), stub.I(0), stub.I(sigSetSize)},
	}
}

// IgnoredTrap plans the action of SIGTRAP again, where that is to be ignored: the
// trap that ends a table resets it. The thread can run no table any more.
func IgnoredTrap(list []*record.SigAction) []stub.Call {
	const sigIgn = 1
	if a := list[unix.SIGTRAP-1]; a.Handler == sigIgn {
		return []stub.Call{action(int(unix.SIGTRAP), a)}
	}
	return nil
}

// Pending plans the queueing of pending signals: of thread tid, or of the
// whole process pid when tid is 0. It must run in that thread, since only a
// task itself may send itself any siginfo. A pending SIGSTOP is left out: a
// task that was about to stop is restored as stopped. So is SIGTRAP, which ends
// a puppet's tables: see Traps.
func Pending(pid, tid int32, list []*record.SigInfo) []stub.Call {
	var calls []stub.Call
	for _, s := range list {
		if sig := signalOf(s); sig != unix.SIGTRAP && sig != unix.SIGSTOP {
			calls = append(calls, queue(pid, tid, s))
		}
	}
	return calls
}

// Bare plans the queueing of signals that were pending without a siginfo, of thread
// tid or, when that is 0, of process pid: with no room for queued signals the kernel
// keeps of a signal only that it is pending. A signal below SIGRTMIN must then be one
// of sigqueue(3), for others have room always; a real-time signal must be one of
// kill(2), for others are refused. own are restore's limits.
func Bare(pid, tid int32, mask uint64, list, own []*record.Limit) []stub.Call {
	const (
		rtMin   = 32
		siQueue = -1
	)
	top := signalRoom(list, own)
	calls := []stub.Call{rlimit(unix.RLIMIT_SIGPENDING, &record.Limit{Max: top})}
	for sig := 1; sig <= 64; sig++ {
		if mask>>(sig-1)&1 == 0 || sig == int(unix.SIGTRAP) || sig == int(unix.SIGKILL) || sig == int(unix.SIGSTOP) {
			continue
		}
		raw := make([]byte, 128)
		binary.LittleEndian.PutUint32(raw, uint32(sig))
		if sig < rtMin {
			code := int32(siQueue)
			binary.LittleEndian.PutUint32(raw[8:], uint32(code))
		}
		calls = append(calls, queue(pid, tid, &record.SigInfo{Raw: raw}))
	}
	if len(calls) == 1 {
		return nil
	}
	return append(calls, rlimit(unix.RLIMIT_SIGPENDING, &record.Limit{Cur: top, Max: top}))
}

// Traps plans the queueing of pending SIGTRAPs. The thread must have blocked it,
// and can run no table any more.
func Traps(pid, tid int32, list []*record.SigInfo) []stub.Call {
	var calls []stub.Call
	for _, s := range list {
		if signalOf(s) == unix.SIGTRAP {
			calls = append(calls, queue(pid, tid, s))
		}
	}
	return calls
}

func signalOf(s *record.SigInfo) unix.Signal { return unix.Signal(binary.LittleEndian.Uint32(s.Raw)) }

func queue(pid, tid int32, s *record.SigInfo) stub.Call {
	sig := signalOf(s)
	c := stub.Call{What: fmt.Sprintf("queueing of signal %d", sig), Nr: unix.SYS_RT_SIGQUEUEINFO,
		Args: []stub.Arg{stub.I(pid), stub.I(int(sig)), stub.D(s.Raw)}}
	if tid != 0 {
		c.Nr = unix.SYS_RT_TGSIGQUEUEINFO
		c.Args = append([]stub.Arg{stub.I(pid), stub.I(tid)}, c.Args[1:]...)
	}
	return c
}

// CheckTraps checks that the SIGTRAPs that wait for a task and its threads can be
// queued again: they stay where they are only while they are blocked.
func CheckTraps(t *record.Task, thread func(tid int32) *record.Thread) error {
	const trap = 1 << (unix.SIGTRAP - 1)
	shared := len(Traps(t.Pid, 0, t.Pending)) > 0
	bare := t.PendingBare
	for _, tid := range t.Tids {
		th := thread(tid)
		if bare |= th.PendingBare; bare&trap != 0 {
			return fmt.Errorf("a SIGTRAP without siginfo is pending, which can't be restored yet")
		}
		if !shared && len(Traps(t.Pid, tid, th.Pending)) == 0 {
			continue
		}
		if th.Sigmask&trap == 0 {
			return fmt.Errorf("a SIGTRAP is pending that thread %d has not blocked, which can't be restored", tid)
		}
		if t.State == record.Task_STOPPED {
			return fmt.Errorf("a SIGTRAP is pending while it is stopped, which can't be restored yet; continue it first")
		}
	}
	return nil
}
