package freezer

import (
	"errors"

	"golang.org/x/sys/unix"

	"floe/lib/tracer"
)

// Thaw lets the whole tree go on, each task as it was.
func (t *Tree) Thaw(p *tracer.Ptrace) error {
	var first error
	for i := len(t.Procs) - 1; i >= 0; i-- {
		for _, th := range t.Procs[i].Threads {
			if err := p.Detach(th.TID, 0); err != nil && first == nil && !errors.Is(err, tracer.ErrTaskGone) {
				first = err
			}
		}
	}
	return first
}

// Kill ends the tree while it is still frozen, and waits until it has.
func (t *Tree) Kill(p *tracer.Ptrace) error {
	for _, proc := range t.Procs {
		if !proc.Zombie {
			if err := p.Signal(tracer.TID(proc.PID), unix.SIGKILL); err != nil && !errors.Is(err, tracer.ErrTaskGone) {
				return err
			}
		}
	}
	for {
		// Every thread's end is ours to see, until none is left.
		if _, _, err := p.WaitAny(true); err != nil {
			if errors.Is(err, tracer.ErrTaskGone) {
				return nil
			}
			return err
		}
	}
}

// Stop lets the tree go into a stop by SIGSTOP: no thread of it runs before.
func (t *Tree) Stop(p *tracer.Ptrace) error {
	for _, proc := range t.Procs {
		if proc.Zombie || proc.stopped() {
			continue
		}
		if err := p.Signal(tracer.TID(proc.PID), unix.SIGSTOP); err != nil && !errors.Is(err, tracer.ErrTaskGone) {
			return err
		}
	}
	return t.Thaw(p)
}

// stopped tells whether a process is stopped by job control.
func (p *Process) stopped() bool { return p.Threads[0].Stop.Kind == tracer.GroupStop }
