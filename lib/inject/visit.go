package inject

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/stub"
	"floe/lib/tracer"
)

// visit is one run of a program in a thread. It knows at any moment where the
// thread is, so that it can be taken back after a request that failed.
type visit struct {
	Thread
	p      *tracer.Ptrace
	prog   guest
	notify unix.Signal // 0: its system calls are watched
	room   uint32      // scratch memory, bytes

	results []int64 // of the calls
	data    dataFunc

	entered bool         // its registers are the program's
	ran     bool         // and it has left the program's first instruction
	running bool         // nobody has waited for the stop that it comes to
	unread  *tracer.Stop // a stop whose place is not known yet
	stop    int          // of the program, that it has been at last; -1: none
	parted  bool         // it is in the event stop after the program's last one
	pass    unix.Signal  // to be delivered when it goes on
}

// visit runs a program: work takes it to its last stop.
func (g *Guest) visit(v *visit, work func() error) error {
	if len(v.prog.code) > g.room {
		return fmt.Errorf("task %d: guest program of %d bytes", v.TID, len(v.prog.code))
	}
	g.wrote = true
	if err := g.mem.Write(g.at, v.prog.code); err != nil {
		return err
	}
	err := v.enter()
	if err == nil {
		err = work()
	}
	if err == nil {
		err = v.restore()
		if err == nil {
			return nil
		}
	}
	return errors.Join(err, g.undo(v, err))
}

// undo takes a thread back that has been left in the middle of a visit. Where
// that fails too, the program stays where it is: it is whole by itself, and
// brings the thread back once that is let go.
func (g *Guest) undo(v *visit, why error) error {
	if errors.Is(why, tracer.ErrTaskGone) {
		g.lost = true
		return nil
	}
	err := v.back()
	g.lost = err != nil
	return err
}

// back takes the thread to the end of the program, and out of it.
func (v *visit) back() error {
	if !v.entered {
		return nil
	}
	for v.ran && v.stop < v.last() {
		if _, err := v.toStop(); err != nil {
			return err
		}
	}
	return v.restore()
}

func (v *visit) last() int { return len(v.prog.stops) - 1 }

// enter switches the thread to the program.
func (v *visit) enter() error {
	regs := v.Regs
	setPC(&regs, v.prog.entry)
	if err := v.p.SetRegs(v.TID, &regs); err != nil {
		return err
	}
	v.entered = true
	return v.p.SetSigMask(v.TID, blockAllBut(v.notify))
}

// work runs the program up to its last stop.
func (v *visit) work(calls []stub.Call) error {
	regs, err := v.toStop()
	if err != nil {
		return err
	}
	if v.stop == v.last() {
		return &scratchError{v.room, unix.Errno(-int64(guestScratch(&regs)))}
	}
	err = v.fill(guestScratch(&regs), calls)
	for err == nil && v.stop < v.last() {
		_, err = v.toStop()
	}
	return err
}

// restore gives the thread back what it had, at the last stop. At any instant
// in it, the program would do the same by itself.
func (v *visit) restore() error {
	if v.notify == 0 && v.ran && !v.parted {
		// A stop at a system call is no place from where the kernel would make
		// the thread's own call again.
		if err := v.p.Interrupt(v.TID); err != nil {
			return err
		}
		if err := v.p.Cont(v.TID, 0); err != nil {
			return err
		}
		v.parted, v.running = true, true
	}
	if v.running {
		if _, err := ToEventStop(v.p, v.TID); err != nil {
			return err
		}
		v.running = false
	}
	if err := v.p.SetSigMask(v.TID, v.Mask); err != nil {
		return err
	}
	return v.p.SetRegs(v.TID, &v.Regs)
}

// toStop lets the thread run to the program's next stop, and gives the
// registers there.
func (v *visit) toStop() (tracer.Regs, error) {
	for {
		if err := v.await(); err != nil {
			return tracer.Regs{}, err
		}
		s := *v.unread
		switch {
		case s.Gone():
			return tracer.Regs{}, &tracer.GoneError{TID: v.TID, Stop: s}
		case s.Kind == tracer.SignalStop && s.Signal == unix.SIGSTOP:
			v.pass, v.unread = s.Signal, nil // nothing blocks it; the group stop that follows ends with the thaw
			continue
		case s.Kind == tracer.SignalStop && s.Signal != v.notify && s.Signal != unix.SIGTRAP:
			v.unread = nil
			return tracer.Regs{}, fmt.Errorf("unexpected %s in a guest program", s)
		case v.notify != 0 && s.Kind != tracer.SignalStop:
			v.unread = nil
			continue // a group stop, or a trap that was pending
		}
		regs, err := v.p.GetRegs(v.TID)
		if err != nil {
			return regs, err
		}
		v.unread = nil
		for i, at := range v.prog.stops {
			if pc(&regs) == at && i > v.stop {
				v.stop = i
				return regs, nil
			}
		}
		// Somebody else's signal, which the process ignores anyway; or another
		// system call.
	}
}

// await waits for the thread's next stop, unless the last one has yet to be
// looked at.
func (v *visit) await() error {
	if v.unread != nil {
		return nil
	}
	if !v.running {
		if err := v.resume(); err != nil {
			return err
		}
		v.ran, v.running, v.pass = true, true, 0
	}
	s, err := v.p.Wait(v.TID)
	if err != nil {
		return err
	}
	v.running, v.unread = false, &s
	return nil
}

func (v *visit) resume() error {
	if v.notify == 0 {
		return v.p.Syscall(v.TID, v.pass)
	}
	return v.p.Cont(v.TID, v.pass)
}
