package plan

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/record"
	"floe/lib/stub"
)

// prctl(2) numbers that x/sys lacks or that read better here.
const (
	prSetTSC    = 26
	prTSCEnable = 1
)

func prctl(what string, args ...stub.Arg) stub.Call {
	return stub.Call{What: what, Nr: unix.SYS_PRCTL, Args: append(args, make([]stub.Arg, 5-len(args))...)}
}

func rlimit(resource int, l *record.Limit) stub.Call {
	b := binary.LittleEndian.AppendUint64(nil, l.Cur)
	b = binary.LittleEndian.AppendUint64(b, l.Max)
	return stub.Call{What: fmt.Sprintf("limit %d", resource), Nr: unix.SYS_PRLIMIT64,
		Args: []stub.Arg{stub.I(0), stub.I(resource), stub.D(b), stub.I(0)}}
}

// roomy are the limits that must not be in the way of what a task had once: any
// descriptor number, memory and locks beyond what it may have by now.
var roomy = [...]int{unix.RLIMIT_NOFILE, unix.RLIMIT_MEMLOCK, unix.RLIMIT_AS, unix.RLIMIT_DATA}

// Early plans what a process needs before its memory and descriptors. Its own
// limits come last (Limits).
func Early(own []*record.Limit) []stub.Call {
	var calls []stub.Call
	for _, r := range roomy {
		if most := own[r].Max; own[r].Cur != most {
			calls = append(calls, rlimit(r, &record.Limit{Cur: most, Max: most}))
		}
	}
	return calls
}

// Limits plans the resource limits. Raising a hard limit above own's needs
// CAP_SYS_RESOURCE; canRaise says whether restore has it. There is room for any
// signals and timers until LastLimit.
func Limits(list, own []*record.Limit, canRaise bool) ([]stub.Call, error) {
	var calls []stub.Call
	for r, l := range list {
		if r < len(own) && l.Max > own[r].Max && !canRaise {
			return nil, fmt.Errorf("its hard limit %d (%d) is above restore's own (%d) and restore has no CAP_SYS_RESOURCE; raise it first (ulimit -H)", r, l.Max, own[r].Max)
		}
		if r == unix.RLIMIT_SIGPENDING {
			top := signalRoom(list, own)
			l = &record.Limit{Cur: top, Max: top}
		}
		calls = append(calls, rlimit(r, l))
	}
	return calls, nil
}

// signalRoom is the limit of queued signals until LastLimit.
func signalRoom(list, own []*record.Limit) uint64 {
	return max(list[unix.RLIMIT_SIGPENDING].Max, own[unix.RLIMIT_SIGPENDING].Max)
}

// LastLimit plans the limit of queued signals, which may be lower than what was
// queued before it was set.
func LastLimit(list []*record.Limit) stub.Call {
	return rlimit(unix.RLIMIT_SIGPENDING, list[unix.RLIMIT_SIGPENDING])
}

// Process plans what belongs to a whole process and needs privileges, before
// any thread gives them up.
func Process(t *record.Task) []stub.Call {
	var calls []stub.Call
	if t.ChildSubreaper {
		calls = append(calls, prctl("child subreaper", stub.I(unix.PR_SET_CHILD_SUBREAPER), stub.I(1)))
	}
	return calls
}

// Dumpable plans the flag that every change of credentials resets: the last
// call that a process makes about them.
func Dumpable(t *record.Task) []stub.Call {
	if t.Dumpable > 1 {
		return nil // 2 can't be asked for: the change of credentials left it so
	}
	return []stub.Call{prctl("dumpable", stub.I(unix.PR_SET_DUMPABLE), stub.I(t.Dumpable))}
}

// Thread plans what belongs to one thread, its credentials last but for the
// signal that the change of credentials clears.
func Thread(t *record.Thread, bounding uint64) ([]stub.Call, error) {
	calls := []stub.Call{
		prctl("name", stub.I(unix.PR_SET_NAME), stub.S(t.Comm)),
		{What: "set_tid_address", Nr: unix.SYS_SET_TID_ADDRESS, Args: []stub.Arg{stub.I(t.ClearChildTid)}},
		prctl("timer slack", stub.I(unix.PR_SET_TIMERSLACK), stub.I(max(t.TimerSlackNs, 1))),
	}
	if t.RobustList != 0 {
		calls = append(calls, stub.Call{What: "set_robust_list", Nr: unix.SYS_SET_ROBUST_LIST,
			Args: []stub.Arg{stub.I(t.RobustList), stub.I(t.RobustListLen)}})
	}
	if t.Rseq != nil && t.Rseq.Addr != 0 {
		calls = append(calls, stub.Call{What: "rseq", Nr: unix.SYS_RSEQ,
			Args: []stub.Arg{stub.I(t.Rseq.Addr), stub.I(t.Rseq.Size), stub.I(0), stub.I(t.Rseq.Signature)}})
	}
	// Without a stack its flags may still say more than SS_DISABLE.
	if t.Altstack != nil && (t.Altstack.Size != 0 || t.Altstack.Flags&^ssDisable != 0) {
		calls = append(calls, sigaltstack(t.Altstack))
	}
	if t.TscMode != 0 && t.TscMode != prTSCEnable {
		calls = append(calls, prctl("TSC mode", stub.I(prSetTSC), stub.I(t.TscMode)))
	}
	creds, err := Credentials(t.Creds, bounding)
	if err != nil {
		return nil, fmt.Errorf("thread %d (%s): %w", t.Tid, t.Comm, err)
	}
	calls = append(calls, creds...)
	if t.PdeathSignal != 0 {
		calls = append(calls, prctl("parent death signal", stub.I(unix.PR_SET_PDEATHSIG), stub.I(t.PdeathSignal)))
	}
	return calls, nil
}

// ssOnStack is set by the kernel for a task that runs on its alternate stack;
// sigaltstack(2) does not take it.
const (
	ssOnStack = 1
	ssDisable = 2
)

func sigaltstack(a *record.AltStack) stub.Call {
	b := make([]byte, 24)
	le := binary.LittleEndian
	le.PutUint64(b, a.Sp)
	le.PutUint32(b[8:], a.Flags&^ssOnStack)
	le.PutUint64(b[16:], a.Size)
	return stub.Call{What: "sigaltstack", Nr: unix.SYS_SIGALTSTACK, Args: []stub.Arg{stub.D(b), stub.I(0)}}
}
