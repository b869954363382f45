package inject

import (
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/stub"
	"floe/lib/tracer"
)

// AllSignals is a mask with every signal in it. The kernel leaves SIGKILL and
// SIGSTOP out.
const AllSignals = ^uint64(0)

// CallBlocked makes one system call in a puppet that has every signal blocked,
// SIGTRAP too: a table, which a trap ends, can't run in it. Its data, one argument
// at most, goes where tables go. The puppet is in an event stop afterwards.
func (a *Arena) CallBlocked(p *tracer.Ptrace, tid tracer.TID, c stub.Call) error {
	regs, err := a.lone(tid, &c)
	if err != nil {
		return err
	}
	if err := p.SetRegs(tid, &regs); err != nil {
		return err
	}
	for range 2 { // the call's entry and its exit
		if err := p.Syscall(tid, 0); err != nil {
			return err
		}
		switch s, err := p.Wait(tid); {
		case err != nil:
			return err
		case s.Gone():
			return fmt.Errorf("task %d: %w: %s", tid, tracer.ErrTaskGone, s)
		case s.Kind != tracer.SignalStop || s.Signal != unix.SIGTRAP: // as ptrace(2) tells of it
			return fmt.Errorf("task %d: %s: unexpected %s", tid, c.Name(), s)
		}
	}
	got, err := p.GetRegs(tid)
	if err != nil {
		return err
	}
	if res := callResult(&got); res < 0 && res >= -stub.MaxErrno {
		return &CallError{TID: tid, What: c.Name(), Errno: unix.Errno(-res)}
	}
	if err := p.Interrupt(tid); err != nil {
		return err
	}
	if err := p.Cont(tid, 0); err != nil {
		return err
	}
	return awaitEventStop(p, tid)
}

// lone are the registers of a puppet for one call; its data go where tables go.
func (a *Arena) lone(tid tracer.TID, c *stub.Call) (tracer.Regs, error) {
	args := make([]uint64, 0, len(c.Args))
	for _, arg := range c.Args {
		v := arg.Val
		if arg.Kind == stub.Data {
			v = a.table()
			if err := tracer.WriteMem(tid, tracer.Addr(v), arg.Bytes); err != nil {
				return tracer.Regs{}, err
			}
		}
		args = append(args, v)
	}
	return callRegs(a.Base+a.code.Call, c.Nr, args), nil
}
