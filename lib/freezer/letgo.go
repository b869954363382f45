package freezer

import (
	"errors"
	"slices"

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

// Kill ends the tree while it is still frozen, and waits until it has. An error
// says that nothing of it has been killed: what the caller may not kill is found
// before.
func (t *Tree) Kill(p *tracer.Ptrace) error {
	list, err := t.mayKill(p)
	if err == nil {
		err = p.Deafen()
	}
	if err != nil {
		return err
	}
	whole := true
	// Children first: a parent's end has the kernel send SIGHUP to the group of a
	// stopped child, which may not be the tree's.
	slices.Reverse(list)
	for _, proc := range list {
		err := p.Signal(tracer.TID(proc.PID), unix.SIGKILL)
		if err == nil || errors.Is(err, tracer.ErrTaskGone) {
			continue
		}
		// Then it ends with its tracer.
		whole = false
		for _, th := range proc.Threads {
			_ = p.SetOptions(th.TID, tracer.OptExitKill)
		}
	}
	for _, proc := range list {
		if whole {
			endOf(p, proc)
		}
	}
	for whole {
		// Every thread's end is ours to see, until none is left.
		if _, _, err := p.WaitAny(true); err != nil {
			return nil
		}
	}
	return nil
}

// endOf waits for the end of a process that was killed: of its first thread the
// kernel tells when no other is left. A wait for any thread would go through all
// of them each time.
func endOf(p *tracer.Ptrace, proc *Process) {
	for i := len(proc.Threads) - 1; i >= 0; i-- {
		for {
			if s, err := p.Wait(proc.Threads[i].TID); err != nil || s.Gone() {
				break
			}
		}
	}
}

// mayKill are the processes that can be sent a signal; an error says that one
// can't.
func (t *Tree) mayKill(p *tracer.Ptrace) ([]*Process, error) {
	var list []*Process
	for _, proc := range t.Procs {
		if proc.Zombie {
			continue
		}
		if err := p.Signal(tracer.TID(proc.PID), 0); err != nil && !errors.Is(err, tracer.ErrTaskGone) {
			return nil, err
		}
		list = append(list, proc)
	}
	return list, nil
}

// Stop lets the tree go into a stop by SIGSTOP: no thread of it runs before.
func (t *Tree) Stop(p *tracer.Ptrace) error {
	list, err := t.mayKill(p)
	if err != nil {
		return err
	}
	for _, proc := range list {
		if proc.stopped() {
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
