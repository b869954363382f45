package restorer

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"floe/lib/record"
	"floe/lib/tracer"
)

// Root is the root of a restored tree. It is a child of this process, but for an
// orphan.
type Root struct {
	PID   int32
	PIDFD int // close-on-exec
	// Ended is how it ended, if it did while it was let go and has been waited
	// for.
	Ended *tracer.Stop
}

// rooted takes hold of the root, which has just been made: a tracee whose end
// nobody has waited for.
func (r *Restorer) rooted(pid int32) error {
	fd, err := unix.PidfdOpen(int(pid), 0)
	if err != nil {
		return fmt.Errorf("pidfd of task %d: %w", pid, err)
	}
	r.root = &Root{PID: pid, PIDFD: fd}
	return nil
}

// wantsSignal tells whether the root gets a signal when its parent ends
// (PR_SET_PDEATHSIG). For the kernel the parent is a thread.
func (r *Restorer) wantsSignal() bool {
	for _, tid := range r.im.Tasks[0].Tids {
		if r.im.Thread(tid).GetPdeathSignal() != 0 {
			return true
		}
	}
	return false
}

// orphan tells whether the root must have lost its parent early, because this
// process ends as soon as the tree runs: before the root asks for a signal at its
// parent's end, and before anything is stopped, since a group with a stopped
// process is sent SIGHUP when it loses its last parent in its session.
func (r *Restorer) orphan() bool { return r.opt.Detach && (r.wantsSignal() || r.stopped()) }

// stopped tells whether a process of the tree is stopped.
func (r *Restorer) stopped() bool {
	return slices.ContainsFunc(r.im.Tasks, func(t *record.Task) bool { return t.State == record.Task_STOPPED })
}

// leaveGroup takes this process out of the tree's process group before it ends,
// where its own parent is what that group loses by its end: see orphan. A parent
// in another session is not, and there is no way to its group.
func (r *Restorer) leaveGroup() {
	if !r.opt.Detach || !r.stopped() {
		return
	}
	if group, err := unix.Getpgid(unix.Getppid()); err == nil {
		_ = unix.Setpgid(0, group)
	}
}

// endSeed ends the first puppet. An orphan is its child, and goes to whoever
// takes orphans: not to this process.
func (r *Restorer) endSeed(p *tracer.Ptrace) error {
	if !r.orphan() {
		r.seed.Kill(p)
		return nil
	}
	r.disown()
	r.seed.Kill(p)
	var err error
	r.disown, err = adopt()
	return err
}

// endTracer ends the thread that has made the tree, unless it is the parent whose
// end the root would be told of.
func (r *Restorer) endTracer() {
	if !r.committed || r.opt.Detach || !r.wantsSignal() {
		r.tracer.Close()
	}
}
