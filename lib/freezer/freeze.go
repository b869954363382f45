package freezer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"floe/lib/inject"
	"floe/lib/procfs"
	"floe/lib/tracer"
)

// seizeOptions: what a task makes while it is being frozen is traced from
// birth, so that nobody slips away.
const seizeOptions = tracer.OptTraceFork | tracer.OptTraceVfork | tracer.OptTraceClone | tracer.OptTraceSysGood // see inject.Disarm

// How long nothing may stop before what hasn't counts as what can't: its vfork
// child has to run, or a device has to answer, or the machine is very busy. Each
// attempt is more patient than the one before.
const (
	firstStall = 50 * time.Millisecond
	mostStall  = time.Second
)

// pause is how long the tree runs between two attempts.
const pause = 2 * time.Millisecond

var errAgain = errors.New("the tree changed while it was being frozen")

// stuckError says which thread does not stop.
type stuckError struct {
	tid  tracer.TID
	comm string
	what string
	cut  bool // the time was over before it had been waited for long
}

func (e *stuckError) Error() string {
	return fmt.Sprintf("task %d (%s) can't be stopped: %s", e.tid, e.comm, e.what)
}

// Freeze stops the tree of root, again and again until nothing of it is left
// running, or until ctx ends: then it is let go.
func Freeze(ctx context.Context, p *tracer.Ptrace, root int) (*Tree, error) {
	var why error // of the attempt before
	for stall := firstStall; ; stall = min(2*stall, mostStall) {
		t := newTree(root)
		t.stall = stall
		err := t.attempt(ctx, p)
		if err == nil {
			return t, nil
		}
		if e := t.release(ctx, p); e != nil {
			return nil, errors.Join(err, e) // our end lets it go
		}
		if stuck := (*stuckError)(nil); errors.As(err, &stuck) && stuck.cut && why != nil {
			err = why
		}
		why = err
		if !transient(err, root) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("could not freeze the tree of task %d: %w; it runs on", root, err)
		case <-time.After(pause):
		}
	}
}

// transient tells whether another attempt may succeed after err.
func transient(err error, root int) bool {
	if errors.Is(err, tracer.ErrTaskGone) {
		s, err := procfs.ReadStat(root)
		return err == nil && s.State != 'Z' && s.State != 'X'
	}
	var stuck *stuckError
	return errors.Is(err, errAgain) || errors.As(err, &stuck)
}

// attempt stops everything once, at places where it can be read.
func (t *Tree) attempt(ctx context.Context, p *tracer.Ptrace) error {
	t.add(t.Root, nil)
	for nudge := firstNudge; ; nudge = min(2*nudge, mostNudge) {
		if err := t.settle(ctx, p); err != nil {
			return err
		}
		inside, err := t.insideVDSO(p)
		if err != nil {
			return err
		}
		if len(inside) == 0 {
			if err := t.check(); err != nil {
				return err
			}
			return t.handlers(p)
		}
		if err := t.stepOut(ctx, p, inside, nudge); err != nil {
			return err
		}
	}
}

// seizeThreads attaches to the threads of a process that aren't yet attached.
func (t *Tree) seizeThreads(p *tracer.Ptrace, proc *Process) (changed bool, err error) {
	if proc.Zombie {
		return false, nil
	}
	tids, err := procfs.Threads(proc.PID)
	if err != nil {
		t.busy = true
		return false, t.ended(proc)
	}
	for _, n := range tids {
		tid := tracer.TID(n)
		th := t.threads[tid]
		if th == nil {
			th = &Thread{TID: tid}
			t.threads[tid] = th
		}
		if th.Proc == nil {
			th.Proc, changed = proc, true
			proc.Threads = append(proc.Threads, th)
		}
		if th.asked || th.stopped {
			continue
		}
		if err := t.seize(p, proc, th); err != nil {
			return changed, err
		}
	}
	return changed, nil
}

func (t *Tree) seize(p *tracer.Ptrace, proc *Process, th *Thread) error {
	th.asked = true
	if len(proc.Threads) > 1 {
		p.MindThreads()
	}
	// A thread that calls exec is two tasks for a moment, one of them dead; one
	// that does nothing else can show that one several times in a row.
	const tries = 20
	var err error
	for try := range tries {
		if try > 1 {
			time.Sleep(100 * time.Microsecond)
		}
		if err = p.Seize(th.TID, seizeOptions); err == nil {
			err = p.Interrupt(th.TID)
		}
		if err == nil {
			return nil
		}
		if done, err := t.notSeized(p, proc, th, err); done {
			return err
		}
	}
	return fmt.Errorf("%w; freeze needs to be root, or CAP_SYS_PTRACE", err)
}

// notSeized looks why a thread could not be seized; done says that it is clear.
func (t *Tree) notSeized(p *tracer.Ptrace, proc *Process, th *Thread, err error) (done bool, _ error) {
	st, serr := procfs.ReadStatus(int(th.TID))
	if errors.Is(serr, os.ErrNotExist) || errors.Is(serr, unix.ESRCH) || errors.Is(err, tracer.ErrTaskGone) {
		t.busy, th.gone = true, true
		return true, nil
	}
	if serr != nil {
		return true, serr
	}
	dead := st.State == 'Z' || st.State == 'X'
	switch {
	case dead && int(th.TID) == proc.PID:
		th.gone, t.busy = true, true
		return true, t.deadLeader(proc, st.Name)
	case dead:
		th.gone, t.busy = true, true
		return true, nil
	case st.Tracer == unix.Gettid():
		// Born into our hands, and its stop comes; or it has its leader's id
		// since it called exec.
		return true, p.Interrupt(th.TID)
	case st.Tracer != 0:
		return true, fmt.Errorf("task %d (%s) is already traced by task %d; end that first (strace, gdb, another freeze)", th.TID, st.Name, st.Tracer)
	}
	return false, nil
}

// deadLeader handles a process whose first thread has ended.
func (t *Tree) deadLeader(proc *Process, name string) error {
	if n, err := procfs.Threads(proc.PID); err == nil && len(n) > 1 {
		return &stuckError{tid: tracer.TID(proc.PID), comm: name, what: "its first thread has ended while others run; such a process can't be saved yet"}
	}
	if proc.Parent == nil {
		return t.ended(proc)
	}
	proc.Zombie, proc.Threads = true, nil
	return nil
}

// ended handles a process that ended while it was being frozen.
func (t *Tree) ended(proc *Process) error {
	if proc.Parent == nil {
		return fmt.Errorf("task %d: %w", proc.PID, tracer.ErrTaskGone)
	}
	return errAgain
}

// awaitStops waits until each of some threads that were asked to stop has, or is
// gone.
func (t *Tree) awaitStops(ctx context.Context, p *tracer.Ptrace, waiting []*Thread) error {
	last := time.Now()
	for spins := 0; ; spins++ {
		more, moved, err := t.poll(p, waiting)
		if err != nil {
			return err
		}
		if waiting = more; moved {
			last = time.Now()
			continue
		}
		if len(waiting) == 0 {
			return nil
		}
		if quiet := time.Since(last); quiet > t.stall || ctx.Err() != nil {
			return t.stuck(waiting[0], quiet <= t.stall)
		} else if quiet > firstStall/10 && lost(waiting[0].TID) {
			return errAgain // exec took it away without a word
		}
		if spins > 20 {
			time.Sleep(50 * time.Microsecond)
		}
	}
}

// poll takes the stops that have come: those of the threads that are waited for,
// and of newborns. It returns the threads that have not stopped yet. A wait for
// one task finds it by its number; a wait for any goes through all of them.
func (t *Tree) poll(p *tracer.Ptrace, waiting []*Thread) (rest []*Thread, moved bool, err error) {
	rest = waiting[:0]
	for _, th := range waiting {
		s, ok, err := p.Poll(th.TID)
		if err != nil && !errors.Is(err, tracer.ErrTaskGone) {
			return nil, moved, err
		}
		if ok {
			moved = true
			if err := t.stopped(p, th.TID, s); err != nil {
				return nil, moved, err
			}
		}
		if !th.stopped && !th.gone {
			rest = append(rest, th)
		}
	}
	for !moved {
		tid, s, err := p.WaitAny(false)
		if errors.Is(err, tracer.ErrTaskGone) || err == nil && tid == 0 {
			return rest, moved, nil
		} else if err != nil {
			return nil, moved, err
		}
		moved = true
		if err := t.stopped(p, tid, s); err != nil {
			return nil, moved, err
		}
		rest = t.running()
	}
	return rest, moved, nil
}

func (t *Tree) stopped(p *tracer.Ptrace, tid tracer.TID, s tracer.Stop) error {
	th := t.threads[tid]
	if th == nil {
		th = &Thread{TID: tid, asked: true} // a newborn; its process will be found
		t.threads[tid] = th
		t.busy = true
	}
	th.gone = s.Gone() // one that was lost may come back with its leader's id
	if th.gone {
		t.busy = true
		return nil
	}
	if s.Kind == tracer.Event {
		t.busy = true
	}
	done, err := inject.TowardsEventStop(p, tid, s)
	if errors.Is(err, tracer.ErrTaskGone) {
		th.gone, t.busy = true, true
		return nil
	}
	if done {
		th.stopped, th.Stop = true, s
		err = unbreak(p, tid)
	}
	if errors.Is(err, tracer.ErrTaskGone) {
		err = nil // its end is yet to be told
	}
	return err
}

func (t *Tree) stuck(th *Thread, cut bool) error {
	s, err := procfs.ReadStat(int(th.TID))
	if err != nil {
		th.gone = true
		return errAgain
	}
	e := &stuckError{tid: th.TID, comm: s.Comm, cut: cut}
	wchan, _ := procfs.ReadFile(fmt.Sprintf("/proc/%d/wchan", th.TID))
	switch {
	case s.State == 'D' && string(wchan) == "kernel_clone":
		e.what = "it waits in vfork(2) until its child has called exec"
	case s.State == 'D':
		e.what = fmt.Sprintf("it waits in the kernel, in %s, and can't be interrupted", wchan)
	default:
		e.what = fmt.Sprintf("it is in state %c, in %s", s.State, wchan)
	}
	return e
}

// comm is a task's name, for messages.
func comm(tid tracer.TID) string {
	b, _ := procfs.ReadFile(fmt.Sprintf("/proc/%d/comm", tid))
	return strings.TrimSpace(string(b))
}
