package inject

import (
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
//  3. Seed.Commit, one store. A death from here on lets every thread that
//     still stands at the gate go on through its signal frame.
//  4. Settle every thread: final registers directly. What is left is the
//     arena's mapping, which each process unmaps (UnmapArena).
//  5. Detach.

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
	regs := gateRegs(a.Base+a.code.Gate, base, a.commit(), &f.Regs)
	return p.SetRegs(tid, &regs)
}

// Disarm lets a thread outlive its tracer.
func Disarm(p *tracer.Ptrace, tid tracer.TID) error { return p.SetOptions(tid, 0) }

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

// UnmapCalls is the call that removes the arena, for RunGuest.
func (a *Arena) UnmapCalls() []stub.Call {
	return []stub.Call{{What: "munmap of floe's arena", Nr: unix.SYS_MUNMAP, Args: []stub.Arg{stub.I(a.Base), stub.I(a.End() - a.Base)}}}
}

// UnmapArena removes the arena from a settled process, through its thread tid,
// which gets its final state. It is for a process without a vDSO: there is no
// place for a guest program, and a kill in the few microseconds of this call
// costs the process.
func (a *Arena) UnmapArena(p *tracer.Ptrace, tid tracer.TID, f *Final) error {
	if err := p.SetSigMask(tid, puppetMask); err != nil {
		return err
	}
	regs := callRegs(a.Base+a.code.Call, unix.SYS_MUNMAP, []uint64{a.Base, a.End() - a.Base})
	keepSegments(&regs, &f.Regs)
	if err := p.SetRegs(tid, &regs); err != nil {
		return err
	}
	for range 2 { // the call's entry and its exit
		if err := p.Syscall(tid, 0); err != nil {
			return err
		}
		if s, err := p.Wait(tid); err != nil {
			return err
		} else if s.Gone() {
			return fmt.Errorf("task %d: %w: %s", tid, tracer.ErrTaskGone, s)
		}
	}
	got, err := p.GetRegs(tid)
	if err != nil {
		return err
	}
	if res := callResult(&got); res != 0 {
		return fmt.Errorf("task %d: munmap of floe's arena: %w", tid, unix.Errno(-res))
	}
	// A stop inside the kernel's signal code: only from there does it restart
	// an interrupted call.
	if err := p.Interrupt(tid); err != nil {
		return err
	}
	if err := p.Cont(tid, 0); err != nil {
		return err
	}
	if err := awaitEventStop(p, tid); err != nil {
		return err
	}
	return Settle(p, tid, f)
}
