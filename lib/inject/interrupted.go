package inject

import (
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/stub"
	"floe/lib/tracer"
)

// Interrupted makes one system call in a puppet, and interrupts it before it can
// wait: the kernel then keeps of a timed wait what restart_syscall(2) needs. It
// returns what stands in the register of the result, which is the kernel's own -516
// (-ERESTART_RESTARTBLOCK) for such a wait. Every signal is blocked in the puppet
// from then on, and it is in an event stop. Its data, one argument at most, goes
// where tables go.
func (a *Arena) Interrupted(p *tracer.Ptrace, tid tracer.TID, c *stub.Call) (int64, error) {
	if err := p.SetSigMask(tid, AllSignals); err != nil {
		return 0, err
	}
	regs, err := a.lone(tid, c)
	if err != nil {
		return 0, err
	}
	if err := p.SetRegs(tid, &regs); err != nil {
		return 0, err
	}
	if err := p.Syscall(tid, 0); err != nil {
		return 0, err
	}
	switch s, err := p.Wait(tid); {
	case err != nil:
		return 0, err
	case s.Gone():
		return 0, &tracer.GoneError{TID: tid, Stop: s}
	case s.Kind != tracer.SignalStop || s.Signal != unix.SIGTRAP: // its entry, as ptrace(2) tells of it
		return 0, fmt.Errorf("task %d: %s: unexpected %s", tid, c.Name(), s)
	}
	// From the entry on the request is pending: no wait begins.
	if err := p.Interrupt(tid); err != nil {
		return 0, err
	}
	if err := p.Cont(tid, 0); err != nil {
		return 0, err
	}
	if err := awaitEventStop(p, tid); err != nil {
		return 0, err
	}
	got, err := p.GetRegs(tid)
	return callResult(&got), err
}
