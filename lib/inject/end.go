package inject

import (
	"fmt"

	"floe/lib/stub"
	"floe/lib/tracer"
)

// RunToEnd runs calls the last of which ends the puppet, by exit or by a
// signal that it sends itself, and collects the tracer's share of its end. The
// zombie stays for its parent.
func (a *Arena) RunToEnd(p *tracer.Ptrace, tid tracer.TID, calls []stub.Call) error {
	t, err := stub.Encode(calls, nil, a.table(), a.tableRoom)
	if err != nil {
		return err
	}
	if t.Calls != len(calls) {
		return fmt.Errorf("task %d: %d calls don't fit into one table", tid, len(calls))
	}
	if err := tracer.WriteMem(tid, tracer.Addr(a.table()), t.Bytes()); err != nil {
		return err
	}
	regs := tableRegs(a.Base+a.code.Table, a.table(), t.Calls)
	if err := p.SetRegs(tid, &regs); err != nil {
		return err
	}
	if err := p.Cont(tid, 0); err != nil {
		return err
	}
	for range 2 {
		s, err := p.Wait(tid)
		switch {
		case err != nil:
			return err
		case s.Gone():
			return nil
		case s.Kind != tracer.SignalStop || s.Signal == trapSignal:
			return fmt.Errorf("task %d: %s where it should have ended", tid, s)
		}
		if err := p.Cont(tid, s.Signal); err != nil {
			return err
		}
	}
	return fmt.Errorf("task %d: it did not end", tid)
}
