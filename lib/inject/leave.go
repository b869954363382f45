package inject

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/tracer"
)

// Exit is the way by which one address space loses the arena. It is made ready
// before the point of no return, so that after it nothing is needed: no memory,
// no descriptor, no answer of the kernel's that depends on the task's limits.
// An arena is made of whole mappings, so that the munmap(2) splits none.
type Exit struct {
	arena *Arena
	tid   tracer.TID
	final *Final
	at    tracer.Addr // of the program; 0: there is no room for one
	entry uint64
	stop  uint64
}

// NewExit makes an exit ready, in a stopped thread of the address space. The
// thread is to take it from the gate.
func (a *Arena) NewExit(tid tracer.TID, f *Final) (*Exit, error) {
	x := &Exit{arena: a, tid: tid, final: f}
	mem, err := tracer.OpenMem(tid)
	if err != nil {
		return nil, err
	}
	defer mem.Close()
	at, _, _, err := findTail(tid, mem)
	var none noRoomError
	if errors.As(err, &none) {
		return x, nil
	}
	if err != nil {
		return nil, fmt.Errorf("task %d: %w", tid, err)
	}
	prog := leaveProgram(uint64(at), a.Base, a.End()-a.Base, f.Mask, &f.Resumed)
	if len(prog.code) > guestSize {
		return nil, fmt.Errorf("task %d: guest program of %d bytes", tid, len(prog.code))
	}
	x.at, x.entry, x.stop = at, prog.entry, prog.stops[0]
	return x, mem.Write(at, prog.code)
}

// Take takes the thread out of the gate and the arena out of its process, and
// settles the thread. Every other thread of the address space must be settled.
// Whatever fails, and if the tracer dies meanwhile, the thread comes to the same
// end by itself; but for one without a program, which would be lost in the few
// microseconds of its call.
func (x *Exit) Take(p *tracer.Ptrace) error {
	err := x.take(p)
	if err != nil && x.at == 0 && !errors.Is(err, tracer.ErrTaskGone) {
		err = errors.Join(err, Settle(p, x.tid, x.final))
	}
	return err
}

func (x *Exit) take(p *tracer.Ptrace) error {
	// All signals first: until the registers are set the gate gives the thread
	// its own mask.
	if err := p.SetSigMask(x.tid, blockAllBut(0)); err != nil {
		return err
	}
	regs := leaveRegs(x.entry, &x.final.Resumed)
	stop := x.stop
	if x.at == 0 {
		regs = callRegs(x.arena.Base+x.arena.code.Call, unix.SYS_MUNMAP, []uint64{x.arena.Base, x.arena.End() - x.arena.Base})
		keepSegments(&regs, &x.final.Regs)
		stop = pc(&regs) + syscallSize
	}
	if err := p.SetRegs(x.tid, &regs); err != nil {
		return err
	}
	res, err := toReturn(p, x.tid, stop)
	if err != nil {
		return err
	}
	// A stop inside the kernel's signal code: only from there does it restart
	// an interrupted call.
	if err := p.Interrupt(x.tid); err != nil {
		return err
	}
	if err := p.Cont(x.tid, 0); err != nil {
		return err
	}
	if _, err := ToEventStop(p, x.tid); err != nil {
		return err
	}
	if err = Settle(p, x.tid, x.final); err == nil {
		err = x.wipe() // nobody is in it
	}
	if res != 0 {
		err = errors.Join(err, fmt.Errorf("task %d: munmap of floe's arena: %w", x.tid, unix.Errno(-res)))
	}
	return err
}

// wipe takes the program out of the vDSO.
func (x *Exit) wipe() error {
	if x.at == 0 {
		return nil
	}
	mem, err := tracer.OpenMem(x.tid)
	if err != nil {
		return err
	}
	return errors.Join(mem.Write(x.at, make([]byte, guestSize)), mem.Close())
}

// toReturn lets a disarmed thread run to the return of the system call whose
// instruction ends at an address.
func toReturn(p *tracer.Ptrace, tid tracer.TID, end uint64) (int64, error) {
	var sig unix.Signal
	for {
		if err := p.Syscall(tid, sig); err != nil {
			return 0, err
		}
		s, err := p.Wait(tid)
		if err != nil {
			return 0, err
		}
		sig = 0
		switch {
		case s.Gone():
			return 0, &tracer.GoneError{TID: tid, Stop: s}
		case s.Kind == tracer.SignalStop:
			sig = s.Signal // SIGSTOP, which nothing blocks: the stop that follows ends with the detachment
			continue
		case s.Kind != tracer.SyscallStop:
			continue
		}
		regs, err := p.GetRegs(tid)
		if err != nil {
			return 0, err
		}
		if pc(&regs) == end && callReturned(&regs) {
			return callResult(&regs), nil
		}
	}
}
