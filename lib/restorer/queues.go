package restorer

import (
	"floe/lib/plan"
	"floe/lib/record"
	"floe/lib/stub"
	"floe/lib/tracer"
)

// queueSignals queues what was pending, of each thread and of the process.
func (r *Restorer) queueSignals(p *tracer.Ptrace, t *record.Task) error {
	for _, tid := range t.Tids {
		th := r.im.Thread(tid)
		if err := r.queue(p, t, tid, tid, th.Pending, th.PendingBare); err != nil {
			return err
		}
	}
	return r.queue(p, t, t.Pid, 0, t.Pending, t.PendingBare)
}

// queue fills one queue in order, in thread in: of thread tid or, when that is 0, of
// the process. A timer's signal is queued by the timer.
func (r *Restorer) queue(p *tracer.Ptrace, t *record.Task, in, tid int32, list []*record.SigInfo, bare uint64) error {
	run := func(calls []stub.Call) error {
		if len(calls) == 0 {
			return nil
		}
		_, err := r.arena.Run(p, tracer.TID(in), calls)
		return err
	}
	from := 0
	for i, s := range list {
		pt := timerOf(t, s)
		if pt == nil {
			continue
		}
		if err := run(plan.Pending(t.Pid, tid, list[from:i])); err != nil {
			return err
		}
		from = i + 1
		if err := r.expire(p, t, pt, pt.Missed); err != nil {
			return err
		}
		if pt.Stale {
			if err := run([]stub.Call{plan.SetAnew(pt)}); err != nil {
				return err
			}
		}
	}
	calls := plan.Pending(t.Pid, tid, list[from:])
	if bare != 0 {
		calls = append(calls, plan.Bare(t.Pid, tid, bare, t.Limits, r.own.limits)...)
	}
	return run(calls)
}

// timerOf is the timer that has queued a signal itself; nil: none has.
func timerOf(t *record.Task, s *record.SigInfo) *record.PosixTimer {
	id, ok := plan.TimerSignal(s.Raw)
	if !ok {
		return nil
	}
	for _, pt := range t.PosixTimers {
		if pt.Id == id && pt.Pending {
			return pt
		}
	}
	return nil
}
