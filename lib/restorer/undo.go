package restorer

import (
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"floe/lib/plan"
	"floe/lib/tracer"
)

// focus is the process that the ptrace thread has at work, so that another
// thread can end a call in it that does not return: one that waits for a
// network's file, or fills very much memory.
type focus struct {
	mu    sync.Mutex
	pidfd int // -1: none
	pid   int32
	over  bool
}

// on turns to another process. Before the tree is let go every process that is
// at work is a tracee whose end has not been waited for, so that its id is its
// own.
func (f *focus) on(pid int32) error {
	if f.pidfd >= 0 && f.pid == pid { // only this thread changes them
		return nil
	}
	fd, err := unix.PidfdOpen(int(pid), 0)
	if err != nil {
		return fmt.Errorf("pidfd of task %d: %w", pid, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over {
		unix.Close(fd)
		return errInterrupted
	}
	if f.pidfd >= 0 {
		unix.Close(f.pidfd)
	}
	f.pidfd, f.pid = fd, pid
	return nil
}

// errInterrupted stands for the reason why the context has ended.
var errInterrupted = errors.New("interrupted")

// off turns away from it.
func (f *focus) off() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.pidfd >= 0 {
		unix.Close(f.pidfd)
	}
	f.pidfd = -1
}

// end ends the process at work, and lets none follow.
func (f *focus) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
	if f.pidfd >= 0 {
		_ = unix.PidfdSendSignal(f.pidfd, unix.SIGKILL, nil, 0)
	}
}

// adopt makes this process the parent of orphans of the tree in the making, so
// that none is left, not even as a zombie that has its id, when the restore
// fails. undo gives the role back.
func adopt() (undo func(), err error) {
	var before int
	if before, err = childSubreaper(); err != nil || before != 0 {
		return func() {}, err
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("child subreaper: %w", err)
	}
	return func() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) }, nil
}

// undo kills what was made, and waits for the end of all of it.
func (r *Restorer) undo() {
	_ = r.tracer.Do(func(p *tracer.Ptrace) error {
		if r.seed != nil {
			r.seed.Kill(p)
		}
		_ = p.Deafen() // an undo that can't is no worse for it
		// Those that were never made, or have ended, are no tracees.
		r.forked(func(pid int32) { _ = p.Signal(tracer.TID(pid), unix.SIGKILL) })
		for {
			// Every tracee's end, threads' too, until there is none. One that stops
			// was born since, by a call that was under way.
			tid, s, err := p.WaitAny(true)
			if errors.Is(err, tracer.ErrTaskGone) {
				return nil
			}
			if err == nil && !s.Gone() {
				_ = p.Signal(tid, unix.SIGKILL)
			}
		}
	})
	// They are zombies now whose parents are gone: this process's children. An
	// id that is somebody else's meanwhile is no child's.
	r.forked(func(pid int32) { _, _ = unix.Wait4(int(pid), nil, unix.WALL|unix.WNOHANG, nil) })
}

// forked calls f for every process that the plan makes, the last one first.
func (r *Restorer) forked(f func(pid int32)) {
	for i := len(r.steps) - 1; i >= 0; i-- {
		if s := r.steps[i]; s.Kind != plan.Fork {
			continue
		} else if tid := r.tid(s.Child); tid != 0 { // 0: a helper that was not made
			f(int32(tid))
		}
	}
}
