package restorer

import (
	"fmt"

	"floe/lib/plan"
	"floe/lib/record"
	"floe/lib/tracer"
)

// live calls f for every process that isn't a zombie, in order.
func (r *Restorer) live(f func(*record.Task) error) error {
	for _, t := range r.im.Tasks {
		if t.State == record.Task_ZOMBIE {
			continue
		}
		if err := f(t); err != nil {
			return taskErr(t, err)
		}
	}
	return nil
}

// prepare gives each process its address space, descriptors and directories.
func (r *Restorer) prepare(p *tracer.Ptrace) error {
	return r.live(func(t *record.Task) error {
		tid := tracer.TID(t.Pid)
		calls := plan.Early(t, r.own.limits)
		if r.shares.OwnsMM(t) {
			as, err := r.planMemory(t)
			if err != nil {
				return err
			}
			r.mms[t.MmId] = as
			calls = append(calls, as.Before...)
		}
		if r.shares.OwnsFS(t) {
			fs := r.im.Fs[t.FsId]
			if fs == nil {
				return fmt.Errorf("its directories are not in the image")
			}
			dirs := r.fds.fs[t.FsId]
			calls = append(calls, plan.Directories(dirs[0], dirs[1], fs.Umask)...)
		}
		if r.shares.OwnsFiles(t) {
			slots, err := plan.Descriptors(r.im.Fds[t.FilesId], r.fds.floor, r.fds)
			if err != nil {
				return err
			}
			calls = append(calls, slots...)
			calls = append(calls, plan.Watches(r.watches(t.FilesId))...)
			calls = append(calls, plan.CloseInherited(r.fds.floor)...)
			// After all closing: a close of any descriptor of a file drops the
			// locks on it.
			calls = append(calls, plan.Locks(r.locks(t.FilesId))...)
		}
		if _, err := r.arena.Run(p, tid, calls); err != nil {
			return err
		}
		if r.shares.OwnsMM(t) {
			return r.fillVDSO(t)
		}
		return nil
	})
}

func (r *Restorer) planMemory(t *record.Task) (*plan.AddressSpace, error) {
	mm := r.im.Mms[t.MmId]
	if mm == nil {
		return nil, fmt.Errorf("its memory map is not in the image")
	}
	arena := plan.Span{Start: r.arena.Base, End: r.arena.End()}
	v, err := r.planVDSO(t.MmId, arena)
	if err != nil {
		return nil, err
	}
	return plan.Memory(mm, r.im.Vmas[t.MmId], plan.Target{Arena: arena, VDSO: v, Droppable: r.own.droppable, FDs: r.fds})
}

// watches lists what the epolls of a descriptor table watch.
func (r *Restorer) watches(filesID uint64) []plan.Watch {
	var list []plan.Watch
	for _, a := range r.fds.set.EpollAdds() {
		if a.FilesID == filesID {
			list = append(list, plan.Watch{Epoll: a.Epfd, FD: a.Fd, Events: a.Events, Data: a.Data})
		}
	}
	return list
}

// locks lists the record locks of a descriptor table.
func (r *Restorer) locks(filesID uint64) []plan.Lock {
	var list []plan.Lock
	for _, l := range r.fds.set.Locks() {
		if l.FilesID == filesID {
			list = append(list, plan.Lock{FD: l.Fd, Type: l.Type, Start: l.Start, Len: l.Len})
		}
	}
	return list
}

// finishMemory sets what must wait for the pages.
func (r *Restorer) finishMemory(p *tracer.Ptrace) error {
	return r.live(func(t *record.Task) error {
		if !r.shares.OwnsMM(t) {
			return nil
		}
		_, err := r.arena.Run(p, tracer.TID(t.Pid), r.mms[t.MmId].After)
		return err
	})
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
		for _, th := range r.threads[t.Pid] {
			if err := r.prepareThread(p, t, th); err != nil {
				return err
			}
		}
		return nil
	})
}
