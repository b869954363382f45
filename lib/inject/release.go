package inject

import (
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"floe/lib/stub"
	"floe/lib/tracer"
)

// How a tree is let go, so that restore can be killed at any instant and leaves
// either the whole tree or nothing:
//
//  1. Arm every thread: its registers point to the gate, which looks at the
//     commit page, and a signal frame with its final state is ready. A death
//     of restore kills all (OptExitKill).
//  2. Disarm every thread: OptExitKill is taken off. A death now lets the
//     threads run: each finds the commit page at zero and kills its process.
//  3. Seed.Commit, one store: the point of no return. A death from here on lets
//     every thread that still stands at the gate go on through its signal frame.
//  4. Halt those that were stopped.
//  5. Settle every thread, but for one of each address space: final registers
//     directly. That one takes the Exit, which was made ready before 2.
//  6. Detach.
//
// Nothing after 3 depends on what the tasks may or have: requests of ptrace, and
// one munmap of whole mappings. Where one fails all the same, the thread stays as
// it is: at the gate, or in the exit's program, it goes on by itself when it is
// detached.

// frameGap is free room below a frame, bytes: a signal may come between the
// setting of a thread's mask and of its registers, and then its handler's
// frame goes below the gate's.
const frameGap = 12 << 10

// Final is the state that a thread is let go with.
type Final struct {
	// Regs as the kernel is to see them when the thread leaves its stop: it
	// restarts the system call that they stand in.
	Regs tracer.Regs
	// Resumed are the same with the restart already done.
	Resumed tracer.Regs
	XState  []byte // the whole xsave area
	Mask    uint64
	Alt     stub.AltStack
	// Stops says that the thread stops its process, should nobody else be there
	// to do it: see Halt.
	Stops bool

	// What of the xsave area a signal frame has, of one size in all threads, and
	// the mask of its components.
	FrameState []byte
	FrameMask  uint64
}

// FrameSlot is the frame room that one thread with an xsave area of n bytes
// takes.
func FrameSlot(n int) int { return (stub.FrameRoom(n) + frameGap + 63) &^ 63 }

// Arm points a stopped thread at the gate. slot numbers the threads of one
// address space from 0.
func (a *Arena) Arm(p *tracer.Ptrace, tid tracer.TID, slot int, f *Final) error {
	size := FrameSlot(len(f.FrameState))
	if (slot+1)*size > a.frameRoom {
		return fmt.Errorf("task %d: no frame room for thread %d of its address space", tid, slot)
	}
	base := a.Frames() + uint64(slot*size+frameGap)
	frame := stub.Frame(base, &f.Resumed, f.FrameState, f.FrameMask, f.Mask, f.Alt)
	if err := tracer.WriteMem(tid, tracer.Addr(base), frame); err != nil {
		return err
	}
	if err := p.SetXState(tid, f.XState); err != nil {
		return err
	}
	var sig unix.Signal
	if f.Stops {
		sig = unix.SIGSTOP
	}
	regs := gateRegs(a.Base+a.code.Gate, base, a.commit(), sig, &f.Regs)
	return p.SetRegs(tid, &regs)
}

// Disarm lets a thread outlive its tracer, also in a stop at a system call that
// the tracer has not been told of yet: the kernel then sends the thread what the
// stop is reported by. That is a SIGTRAP, but for this option, with which it is no
// signal at all.
func Disarm(p *tracer.Ptrace, tid tracer.TID) error { return p.SetOptions(tid, tracer.OptTraceSysGood) }

// Rearm takes Disarm back.
func Rearm(p *tracer.Ptrace, tid tracer.TID) error { return p.SetOptions(tid, puppetOptions) }

// Commit is the point of no return: one store to the page that all gates read.
func (s *Seed) Commit() { atomic.StoreUint32(commitWord(s.commit), 1) }

// Close unmaps the commit page from this process.
func (s *Seed) Close() error { return unix.Munmap(s.commit) }

// Settle gives a thread its final mask and registers.
func Settle(p *tracer.Ptrace, tid tracer.TID, f *Final) error {
	if err := p.SetSigMask(tid, f.Mask); err != nil {
		return err
	}
	return p.SetRegs(tid, &f.Regs)
}

// Halt stops the process of a thread that stands at the gate, and for which Arm
// was told so, by a stop signal, as job control does: it stays stopped when it is
// detached, be it before it is settled. Pending signals stay what they are. sig
// must have its default action.
//
// SIGSTOP the thread sends itself, since nothing can come between then: whenever
// its tracer ends or fails, it is stopped once.
func Halt(p *tracer.Ptrace, tid tracer.TID, sig unix.Signal) error {
	if sig != unix.SIGSTOP {
		if done, err := haltBy(p, tid, sig); done || err != nil {
			return err
		}
	}
	var failed error
	next := unix.Signal(0)
	for range 8 {
		if failed = p.Cont(tid, next); errors.Is(failed, tracer.ErrTaskGone) {
			return failed
		} else if failed != nil {
			continue // to be let go from a stop for a signal takes the signal away
		}
		s, err := p.Wait(tid)
		switch {
		case err != nil:
			return err
		case s.Gone():
			return &tracer.GoneError{TID: tid, Stop: s}
		case s.Kind == tracer.GroupStop:
			return nil
		}
		if next = 0; s.Kind == tracer.SignalStop {
			next = s.Signal
		}
	}
	return fmt.Errorf("task %d: it does not stop: %w", tid, failed)
}

// haltBy has a terminal's stop signal go past the queue. It does nothing to an
// orphaned process group: then the thread stands before the gate again, and
// nothing is done.
func haltBy(p *tracer.Ptrace, tid tracer.TID, sig unix.Signal) (done bool, _ error) {
	regs, err := p.GetRegs(tid)
	if err != nil {
		return false, err
	}
	// Only a stop for a signal lets another go past the queue; from any other the
	// thread is brought to one first, by a signal that does go through the queue,
	// and has left it then. The gate runs up to its system call, which is not
	// made. No single steps: a tracer that dies leaves a task stepping, and it
	// would die of that.
	past := false
	for range 12 {
		if err := p.SetSigMask(tid, blockAllBut(sig)); err != nil {
			return false, err
		}
		if err := p.SetRegs(tid, &regs); err != nil {
			return false, err
		}
		if err := p.Syscall(tid, sig); err != nil {
			return false, err
		}
		s, err := p.Wait(tid)
		switch {
		case err != nil:
			return false, err
		case s.Gone():
			return false, &tracer.GoneError{TID: tid, Stop: s}
		case s.Kind == tracer.GroupStop:
			pastGate(&regs)
			return true, p.SetRegs(tid, &regs)
		case past && s.Kind != tracer.SignalStop:
			if err := p.SetSigMask(tid, blockAllBut(0)); err != nil {
				return false, err
			}
			return false, p.SetRegs(tid, &regs)
		}
		past = s.Kind == tracer.SignalStop
	}
	return false, fmt.Errorf("task %d: it is never about to get a signal", tid)
}
