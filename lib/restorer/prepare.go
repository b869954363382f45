package restorer

import (
	"iter"
	"slices"

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
	watches := r.watches()
	return r.live(func(t *record.Task) error {
		if !r.shares.OwnsFiles(t) {
			return nil
		}
		return r.arena.RunSeq(p, tracer.TID(t.Pid), r.directories(t), plan.Descriptors(r.im.Fds[t.FilesId], r.held.open), plan.Watches(watches[t.FilesId]))
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
	locks := r.locks()
	if len(locks) == 0 {
		return nil
	}
	return r.live(func(t *record.Task) error {
		return r.arena.RunSeq(p, tracer.TID(t.Pid), plan.Locks(locks[t.Pid]))
	})
}

// watches lists what the epolls of each descriptor table watch.
func (r *Restorer) watches() map[uint64][]plan.Watch {
	by := map[uint64][]plan.Watch{}
	for _, a := range r.held.set.EpollAdds() {
		by[a.FilesID] = append(by[a.FilesID], plan.Watch{Epoll: a.Epfd, FD: a.Fd, Events: a.Events, Data: a.Data})
	}
	return by
}

// locks lists the record locks that each process takes: those that it took, if it
// has the descriptor table still, or else the first that has.
func (r *Restorer) locks() map[int32][]plan.Lock {
	by := map[int32][]plan.Lock{}
	first := map[uint64]int32{} // by files_id
	for _, t := range r.im.Tasks {
		if t.State != record.Task_ZOMBIE && r.shares.OwnsFiles(t) {
			first[t.FilesId] = t.Pid
		}
	}
	for _, l := range r.held.set.Locks() {
		pid := l.Pid
		if t := r.im.Task(pid); t == nil || t.State == record.Task_ZOMBIE || t.FilesId != l.FilesID {
			pid = first[l.FilesID]
		}
		by[pid] = append(by[pid], plan.Lock{FD: l.Fd, Type: l.Type, Start: l.Start, Len: l.Len})
	}
	return by
}

// makeThreads makes all threads, and gives each what is its own.
func (r *Restorer) makeThreads(p *tracer.Ptrace) error {
	return r.live(func(t *record.Task) error {
		if err := setOOMScore(t); err != nil {
			return err
		}
		calls := plan.Process(t)
		limits, err := plan.Limits(t.Limits, r.own.limits, r.own.canRaise)
		if err != nil {
			return err
		}
		calls = append(calls, limits...)
		if r.shares.OwnsSighand(t) {
			calls = append(calls, plan.Actions(t.Actions)...)
		}
		if err := r.cloneThreads(p, t); err != nil {
			return err
		}
		if _, err := r.arena.Run(p, tracer.TID(t.Pid), calls); err != nil {
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
