package inject

import (
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/stub"
	"floe/lib/tracer"
)

// RunToEnd runs calls the last of which ends the puppet, and collects the
// tracer's share of its end. The zombie stays for its parent.
func (a *Arena) RunToEnd(p *tracer.Ptrace, tid tracer.TID, calls []stub.Call) error {
	t := a.empty(0, nil)
	if err := t.Fill(calls); err != nil {
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

// EndBy ends a puppet by a signal whose action is the default one, and collects
// the tracer's share of its end. The puppet has just run calls: it stands in a
// stop of a signal, which can become another one.
func EndBy(p *tracer.Ptrace, tid tracer.TID, sig unix.Signal) (tracer.Stop, error) {
	// Of what it got meanwhile, nothing may come first.
	if err := p.SetSigMask(tid, ^uint64(1<<(sig-1))); err != nil {
		return tracer.Stop{}, err
	}
	if err := p.Cont(tid, sig); err != nil {
		return tracer.Stop{}, err
	}
	s, err := p.Wait(tid)
	if err == nil && !s.Gone() {
		err = fmt.Errorf("task %d: %s where signal %d should have ended it", tid, s, sig)
	}
	return s, err
}
