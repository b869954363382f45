package freezer

import (
	"context"

	"floe/lib/procfs"
	"floe/lib/tracer"
)

// settle stops threads of the processes that are known, then their children, a
// generation at a time, and then looks at all of them until there is nothing new.
func (t *Tree) settle(ctx context.Context, p *tracer.Ptrace) error {
	for {
		for t.reached < len(t.Procs) {
			news := t.Procs[t.reached:]
			t.reached = len(t.Procs)
			if _, err := t.reach(ctx, p, news); err != nil {
				return err
			}
		}
		if changed, err := t.reach(ctx, p, t.Procs); err != nil || !changed {
			return err
		}
	}
}

// reach stops threads of some processes and looks for their children.
func (t *Tree) reach(ctx context.Context, p *tracer.Ptrace, procs []*Process) (changed bool, err error) {
	for _, proc := range procs {
		more, err := t.seizeThreads(p, proc)
		if err != nil {
			return changed, err
		}
		changed = changed || more
	}
	waiting := running(procs)
	if len(procs) == len(t.Procs) {
		waiting = t.running()
	}
	if err := t.awaitStops(ctx, p, waiting); err != nil {
		return changed, err
	}
	more, err := t.findChildren(procs)
	return changed || more, err
}

// running are the threads of some processes that have not stopped yet.
func running(procs []*Process) []*Thread {
	var list []*Thread
	for _, proc := range procs {
		for _, th := range proc.Threads {
			if !th.stopped && !th.gone {
				list = append(list, th)
			}
		}
	}
	return list
}

// running are all threads that have not stopped yet, newborns too whose process is
// not known.
func (t *Tree) running() []*Thread {
	var list []*Thread
	for _, th := range t.threads {
		if !th.stopped && !th.gone {
			list = append(list, th)
		}
	}
	return list
}

// findChildren looks for children of some processes that are not yet in the tree.
func (t *Tree) findChildren(procs []*Process) (changed bool, err error) {
	for _, proc := range procs {
		for _, th := range proc.Threads {
			if th.gone {
				continue
			}
			kids, err := procfs.Children(proc.PID, int(th.TID))
			if err != nil {
				return changed, errAgain
			}
			for _, pid := range kids {
				if t.byPID[pid] == nil {
					t.add(pid, proc).Maker = th.TID
					changed = true
				}
			}
		}
	}
	return changed, nil
}
