package freezer

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/mem"
	"floe/lib/procfs"
	"floe/lib/record"
	"floe/lib/stub"
)

// processQuery asks for what belongs to a whole process.
type processQuery struct {
	task   *record.Task
	timers []procfs.Timer
	ranges []mem.Range // its mappings
	ldt    bool        // it has an LDT, to be asked for
}

const (
	signals   = 64
	itimers   = 3
	sizeTimer = 32 // struct itimerval and itimerspec, bytes
)

// calls asks; read knows the order.
func (q *processQuery) calls() []stub.Call {
	var list []stub.Call
	for sig := 1; sig <= signals; sig++ {
		list = append(list, stub.Call{What: fmt.Sprintf("sigaction %d", sig), Nr: unix.SYS_RT_SIGACTION,
			Args: []stub.Arg{stub.I(sig), stub.I(0), stub.D(make([]byte, 32)), stub.I(8)}})
	}
	for which := range itimers {
		list = append(list, stub.Call{What: fmt.Sprintf("getitimer %d", which), Nr: unix.SYS_GETITIMER,
			Args: []stub.Arg{stub.I(which), stub.D(make([]byte, sizeTimer))}})
	}
	list = append(list,
		stub.Call{What: "child subreaper", Nr: unix.SYS_PRCTL, Args: []stub.Arg{stub.I(unix.PR_GET_CHILD_SUBREAPER), stub.D(make([]byte, 4))}},
		stub.Call{What: "dumpable", Nr: unix.SYS_PRCTL, Args: []stub.Arg{stub.I(unix.PR_GET_DUMPABLE)}},
		stub.Call{What: "brk", Nr: unix.SYS_BRK, Args: []stub.Arg{stub.I(0)}})
	for _, t := range q.timers {
		list = append(list,
			stub.Call{What: fmt.Sprintf("timer_gettime %d", t.ID), Nr: unix.SYS_TIMER_GETTIME, Args: []stub.Arg{stub.I(t.ID), stub.D(make([]byte, sizeTimer))}},
			stub.Call{What: fmt.Sprintf("timer_getoverrun %d", t.ID), Nr: unix.SYS_TIMER_GETOVERRUN, Args: []stub.Arg{stub.I(t.ID)}})
	}
	return append(append(list, mem.Ask()...), mem.AskPolicies(q.ranges[:q.first()])...)
}

func (q *processQuery) read(res []int64, data func(int, int) ([]byte, error)) error {
	le := binary.LittleEndian
	calls := q.calls()
	own := len(calls) - len(mem.Ask()) - q.first()
	for i, r := range res[:own] {
		if r < 0 {
			return fmt.Errorf("%s: %w", calls[i].What, unix.Errno(-r))
		}
	}
	t := q.task
	t.Actions, t.Itimers, t.PosixTimers = nil, nil, nil
	for i := range signals {
		b, err := data(i, 2)
		if err != nil {
			return err
		}
		t.Actions = append(t.Actions, &record.SigAction{Handler: le.Uint64(b), Flags: le.Uint64(b[8:]), Restorer: le.Uint64(b[16:]), Mask: le.Uint64(b[24:])})
	}
	for i := range itimers {
		b, err := data(signals+i, 1)
		if err != nil {
			return err
		}
		us := func(at int) uint64 { return le.Uint64(b[at:])*1e6 + le.Uint64(b[at+8:]) }
		t.Itimers = append(t.Itimers, &record.Itimer{IntervalUs: us(0), ValueUs: us(16)})
	}
	rest := signals + itimers
	b, err := data(rest, 1)
	if err != nil {
		return err
	}
	t.ChildSubreaper, t.Dumpable, t.Brk = le.Uint32(b) != 0, uint32(res[rest+1]), uint64(res[rest+2])
	for i, timer := range q.timers {
		b, err := data(rest+3+2*i, 1)
		if err != nil {
			return err
		}
		ns := func(at int) uint64 { return le.Uint64(b[at:])*1e9 + le.Uint64(b[at+8:]) }
		const sigevThreadID = 4
		pt := &record.PosixTimer{Id: int32(timer.ID), Clock: int32(timer.Clock), Notify: int32(timer.Notify), Signo: int32(timer.Signo),
			Sigval: timer.Sigval, IntervalNs: ns(0), ValueNs: ns(16), Overrun: int32(res[rest+4+2*i])}
		if timer.Thread {
			pt.Notify, pt.Tid = pt.Notify|sigevThreadID, int32(timer.TID)
		}
		t.PosixTimers = append(t.PosixTimers, pt)
	}
	return q.readMemory(res[own:], func(call, arg int) ([]byte, error) { return data(own+call, arg) })
}
