package restorer

import (
	"errors"

	"golang.org/x/sys/unix"

	"floe/lib/inject"
	"floe/lib/record"
	"floe/lib/tracer"
)

// release lets a finished tree go: up to the point of no return whatever fails
// undoes it all, and after it nothing is an error any more.
func (r *Restorer) release(p *tracer.Ptrace) error {
	exits, err := r.arm(p)
	if err != nil {
		return err
	}
	err = r.disarm(p)
	if err == nil {
		err = r.commit()
	}
	if err != nil {
		_ = r.threadsOf(func(_ *record.Task, tid tracer.TID) error {
			_ = inject.Rearm(p, tid)
			return nil
		})
		return err
	}
	r.committed = true
	r.letGo(p, exits)
	r.leaveGroup()
	return nil
}

// arm makes every thread ready, and the way out of the arena for every address
// space.
func (r *Restorer) arm(p *tracer.Ptrace) (map[tracer.TID]*inject.Exit, error) {
	if err := r.waitAgain(p); err != nil {
		return nil, err
	}
	slots := map[uint64]int{}
	if err := r.threadsOf(func(t *record.Task, tid tracer.TID) error {
		slot := slots[t.MmId]
		slots[t.MmId]++
		f, err := r.withXState(tid)
		if err != nil {
			return err
		}
		f.Stops = stops(t, tid)
		return r.arena.Arm(p, tid, slot, f)
	}); err != nil {
		return nil, err
	}
	exits := map[tracer.TID]*inject.Exit{}
	return exits, r.live(func(t *record.Task) error {
		if !r.shares.OwnsMM(t) {
			return nil
		}
		tid := tracer.TID(t.Pid)
		var err error
		exits[tid], err = r.arena.NewExit(tid, r.finals[t.Pid])
		return err
	})
}

// disarm lets every thread outlive this process: at the gate, where it ends
// unless the tree was committed.
func (r *Restorer) disarm(p *tracer.Ptrace) error {
	return r.threadsOf(func(_ *record.Task, tid tracer.TID) error {
		return inject.Disarm(p, tid)
	})
}

// commit passes the point of no return, unless the caller has changed its mind.
func (r *Restorer) commit() error {
	if r.opt.Commit == nil {
		r.seed.Commit()
		return nil
	}
	return r.opt.Commit(r.seed.Commit)
}

// threadsOf calls f for every thread of every live process.
func (r *Restorer) threadsOf(f func(*record.Task, tracer.TID) error) error {
	return r.live(func(t *record.Task) error {
		for _, tid := range t.Tids {
			if err := f(t, tracer.TID(tid)); err != nil {
				return err
			}
		}
		return nil
	})
}

// letGo releases a committed tree. Whatever goes wrong, a thread that is
// detached goes on by itself, so that each step is taken in any case; but for
// the arena, which stays where a thread still stands in it.
func (r *Restorer) letGo(p *tracer.Ptrace, exits map[tracer.TID]*inject.Exit) {
	unsettled := map[uint64]bool{} // by mm_id
	r.each(func(t *record.Task, tid tracer.TID) {
		if stops(t, tid) {
			if err := inject.Halt(p, tid, stopSignal(t)); err != nil {
				r.mishap(t, err)
				unsettled[t.MmId] = true // it stops itself when it is let go
				return
			}
		}
		if exits[tid] != nil {
			return
		}
		if err := inject.Settle(p, tid, r.finals[int32(tid)]); err != nil {
			r.mishap(t, err)
			if !errors.Is(err, tracer.ErrTaskGone) {
				unsettled[t.MmId] = true
			}
		}
	})
	r.each(func(t *record.Task, tid tracer.TID) {
		if x := exits[tid]; x != nil && !unsettled[t.MmId] {
			r.mishap(t, x.Take(p))
		}
	})
	// Children first: a parent must not find its children missing from where
	// it left them because they have not run yet, nor see them end early. The
	// first thread of a stopped process is the one that stops the others.
	r.each(func(t *record.Task, tid tracer.TID) { r.mishap(t, p.Detach(tid, 0)) })
}

// each is threadsOf for what can't be undone any more: it goes on to the end.
func (r *Restorer) each(f func(*record.Task, tracer.TID)) {
	for _, t := range r.im.Tasks {
		if t.State == record.Task_ZOMBIE {
			continue
		}
		for _, tid := range t.Tids {
			f(t, tracer.TID(tid))
		}
	}
}

// mishap tells of what went wrong with a task after the point of no return. A
// task that somebody has killed since then is none.
func (r *Restorer) mishap(t *record.Task, err error) {
	var gone *tracer.GoneError
	switch {
	case err == nil:
	case errors.As(err, &gone):
		if gone.TID == tracer.TID(r.root.PID) {
			r.root.Ended = &gone.Stop
		}
	case errors.Is(err, tracer.ErrTaskGone):
	case r.opt.Warnf != nil:
		r.opt.Warnf("the tree runs, but: %v", taskErr(t, err))
	}
}

// stops tells whether a thread is the one that has its process stopped.
func stops(t *record.Task, tid tracer.TID) bool {
	return t.State == record.Task_STOPPED && int32(tid) == t.Pid
}

// stopSignal is what stops a process that was stopped.
func stopSignal(t *record.Task) unix.Signal {
	sig := unix.Signal(t.StopSignal)
	switch sig {
	case unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU:
		const sigDfl = 0
		if a := t.Actions[sig-1]; a.Handler == sigDfl {
			return sig
		}
	}
	return unix.SIGSTOP
}
