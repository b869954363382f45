package freezer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"floe/lib/inject"
	"floe/lib/procfs"
	"floe/lib/tracer"
)

// insideVDSO lists the threads that stand in their vDSO: in code that belongs
// to this kernel, or in a guest program that an earlier freeze left running
// when it was killed.
//
// It also makes sure that every thread is where its last report said.
func (t *Tree) insideVDSO(p *tracer.Ptrace) ([]*Thread, error) {
	var inside []*Thread
	for _, proc := range t.Procs {
		for _, th := range proc.Threads {
			if th.gone {
				continue
			}
			pc, err := programCounter(p, th.TID)
			if err != nil {
				return nil, err
			}
			if proc.vdso[1] == 0 {
				start, end, err := inject.VDSO(tracer.TID(proc.PID))
				if err != nil && dead(proc.PID) {
					return nil, errAgain // it ended while the tree was being frozen
				} else if err != nil {
					return nil, fmt.Errorf("task %d (%s): %w", proc.PID, comm(th.TID), err)
				}
				proc.vdso = [2]tracer.Addr{start, end}
			}
			if pc >= proc.vdso[0] && pc < proc.vdso[1] {
				inside = append(inside, th)
			}
		}
	}
	return inside, nil
}

// dead tells whether a process has ended: it has no memory then.
func dead(pid int) bool {
	s, err := procfs.ReadStat(pid)
	return err != nil || s.State == 'Z' || s.State == 'X'
}

// nudge is how long a thread may run to leave its vDSO: a call there takes
// less than a microsecond.
const nudge = 30 * time.Microsecond

// stepOut lets threads run on for a moment and stops them again. Stepping them
// by single instructions would be exact, but the trap flag would stay when this
// process is killed, and kill them.
func (t *Tree) stepOut(ctx context.Context, p *tracer.Ptrace, list []*Thread) error {
	if ctx.Err() != nil {
		return &stuckError{tid: list[0].TID, comm: comm(list[0].TID), what: "it calls its vDSO all the time, and can't be stopped outside of it"}
	}
	for _, th := range list {
		if err := p.Cont(th.TID, 0); err != nil {
			return err
		}
		th.stopped, th.Proc.vdso = false, [2]tracer.Addr{}
	}
	time.Sleep(nudge)
	for _, th := range list {
		if err := p.Interrupt(th.TID); err != nil && !errors.Is(err, tracer.ErrTaskGone) {
			return err // one that is gone has a status to fetch
		}
	}
	return t.awaitStops(ctx, p)
}
