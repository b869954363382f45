package restorer

import (
	"floe/lib/plan"
	"floe/lib/record"
	"floe/lib/tracer"
	"floe/lib/waits"
)

// waitAgain has every thread that was in a relative wait make that call again, with
// the time that was left: the last call of its own that it makes. The time runs
// from here on.
func (r *Restorer) waitAgain(p *tracer.Ptrace) error {
	return r.threadsOf(func(_ *record.Task, tid tracer.TID) error {
		th := r.im.Thread(int32(tid))
		c := waits.Again(th)
		if c == nil {
			return nil
		}
		// A sleep writes the time that is left when it is interrupted: what stands
		// there is from the moment when the original was.
		rem, at := [waits.RemSize]byte{}, tracer.Addr(waits.Rem(th.Restart.Nr, th.Regs))
		kept := at != 0 && tracer.ReadMem(tid, at, rem[:]) == nil
		result, err := r.arena.Interrupted(p, tid, c)
		if err != nil {
			return err
		}
		if kept {
			if err := tracer.WriteMem(tid, at, rem[:]); err != nil {
				return err
			}
		}
		f := r.finals[int32(tid)]
		f.Regs = plan.Waited(f.Regs, result)
		return nil
	})
}
