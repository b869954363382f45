package restorer

import (
	"iter"
	"slices"

	"floe/lib/attr"
	"floe/lib/plan"
	"floe/lib/record"
	"floe/lib/stub"
	"floe/lib/tracer"
)

// live calls f for every process that isn't a zombie, in order. Once they are
// made, and until they are let go, it keeps the focus on the one that f is for.
func (r *Restorer) live(f func(*record.Task) error) error {
	for _, t := range r.im.Tasks {
		if t.State == record.Task_ZOMBIE {
			continue
		}
		var err error
		if r.made {
			err = r.focus.on(t.Pid)
		}
		if err == nil {
			err = f(t)
		}
		if err != nil {
			return taskErr(t, err)
		}
	}
	return nil
}

// giveDirectories and giveDescriptors come once the image has been verified. The
// first is for those only that share the descriptor table of another: a task needs
// the Guide for its directories, and the descriptors replace it.
func (r *Restorer) giveDirectories(p *tracer.Ptrace) error {
	return r.live(func(t *record.Task) error {
		if r.shares.OwnsFiles(t) {
			return nil
		}
		return r.arena.RunSeq(p, tracer.TID(t.Pid), r.directories(t))
	})
}

func (r *Restorer) giveDescriptors(p *tracer.Ptrace) error {
	return r.live(func(t *record.Task) error {
		if !r.shares.OwnsFiles(t) {
			return nil
		}
		return r.arena.RunSeq(p, tracer.TID(t.Pid), r.directories(t), plan.Descriptors(r.im.Fds[t.FilesId], r.held.open), r.held.set.Calls(t.FilesId))
	})
}

// directories plans those that are a task's own; none, when it has another's.
func (r *Restorer) directories(t *record.Task) iter.Seq[stub.Call] {
	if !r.shares.OwnsFS(t) {
		return slices.Values([]stub.Call(nil))
	}
	dirs := r.held.fs[t.FsId]
	return slices.Values(plan.Directories(dirs[0], dirs[1], r.im.Fs[t.FsId].Umask))
}

// takeLocks comes after all closing: a close of any descriptor of a file drops the
// locks on it.
func (r *Restorer) takeLocks(p *tracer.Ptrace) error {
	locks := r.held.set.Locks()
	if len(locks) == 0 {
		return nil
	}
	return r.live(func(t *record.Task) error {
		if locks[t.Pid] == nil {
			return nil
		}
		return r.arena.RunSeq(p, tracer.TID(t.Pid), locks[t.Pid])
	})
}

// prepareThreads gives each thread what is its own.
func (r *Restorer) prepareThreads(p *tracer.Ptrace) error {
	return r.live(func(t *record.Task) error {
		if err := setOOMScore(t); err != nil {
			return err
		}
		if err := r.here.WriteProcess(t); err != nil {
			return err
		}
		calls := append(plan.Process(t), r.here.Set(t)...)
		limits, err := plan.Limits(t.Limits, r.own.limits, r.own.canRaise)
		if err != nil {
			return err
		}
		calls = append(calls, limits...)
		if r.shares.OwnsSighand(t) {
			calls = append(calls, plan.Actions(t.Actions)...)
		}
		if _, err := r.arena.Run(p, tracer.TID(t.Pid), calls); err != nil {
			return err
		}
		run := func(calls []stub.Call) ([]int64, error) { return r.arena.Run(p, tracer.TID(t.Pid), calls) }
		if err := attr.Run(run, t); err != nil {
			return err
		}
		for _, th := range t.Tids {
			if err := r.prepareThread(p, t, th); err != nil {
				return err
			}
		}
		return nil
	})
}
