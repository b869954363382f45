package restorer

import (
	"floe/lib/plan"
	"floe/lib/record"
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

// giveDirectories and giveDescriptors come once the image has been verified.
func (r *Restorer) giveDirectories(p *tracer.Ptrace) error {
	return r.live(func(t *record.Task) error {
		if !r.shares.OwnsFS(t) {
			return nil
		}
		dirs := r.held.fs[t.FsId]
		_, err := r.arena.Run(p, tracer.TID(t.Pid), plan.Directories(dirs[0], dirs[1], r.im.Fs[t.FsId].Umask))
		return err
	})
}

func (r *Restorer) giveDescriptors(p *tracer.Ptrace) error {
	watches, locks := r.watches(), r.locks()
	return r.live(func(t *record.Task) error {
		if !r.shares.OwnsFiles(t) {
			return nil
		}
		// Locks after all closing: a close of any descriptor of a file drops the
		// locks on it.
		return r.arena.RunSeq(p, tracer.TID(t.Pid), plan.Descriptors(r.im.Fds[t.FilesId], r.held.open),
			plan.Watches(watches[t.FilesId]), plan.Locks(locks[t.FilesId]))
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

// locks lists the record locks of each descriptor table.
func (r *Restorer) locks() map[uint64][]plan.Lock {
	by := map[uint64][]plan.Lock{}
	for _, l := range r.held.set.Locks() {
		by[l.FilesID] = append(by[l.FilesID], plan.Lock{FD: l.Fd, Type: l.Type, Start: l.Start, Len: l.Len})
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
