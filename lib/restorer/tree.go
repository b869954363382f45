package restorer

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/attr"
	"floe/lib/cpu"
	"floe/lib/inject"
	"floe/lib/plan"
	"floe/lib/record"
	"floe/lib/stub"
	"floe/lib/tracer"
	"floe/lib/verdict"
)

// frameBytes is the frame room that the address space with the most threads
// needs.
func (r *Restorer) frameBytes() int {
	threads := map[uint64]int{}
	most := 0
	for _, t := range r.im.Tasks {
		if t.State != record.Task_ZOMBIE {
			threads[t.MmId] += len(t.Tids)
			most = max(most, threads[t.MmId])
		}
	}
	state, _ := cpu.FrameState(make([]byte, r.cpu.XsaveSize), r.cpu)
	return most * inject.FrameSlot(len(state))
}

// placeArena finds room for the arena that no address space of the image uses.
func (r *Restorer) placeArena() error {
	base, err := verdict.Room(r.im, inject.Size(r.frameBytes()))
	if err != nil {
		return err
	}
	r.arena = inject.NewArena(base, r.frameBytes())
	return nil
}

// makeTree makes all processes, bare: nothing but the arena is theirs.
func (r *Restorer) makeTree(p *tracer.Ptrace) error {
	if err := r.placeArena(); err != nil {
		return err
	}
	self, err := unix.PidfdOpen(unix.Getpid(), 0) // for plan.Guide
	if err != nil {
		return fmt.Errorf("pidfd_open of restore itself: %w", err)
	}
	defer unix.Close(self)
	if r.seed, err = inject.NewSeed(p, r.arena, self); err != nil {
		return err
	}
	if err := r.setClocks(p); err != nil {
		return err
	}
	if err := r.here.PlaceFirst(int(r.seed.TID)); err != nil {
		return err
	}
	for _, calls := range append(r.here.Seed(), plan.Defaults()) {
		if _, err := r.arena.Run(p, r.seed.TID, calls); err != nil {
			return err
		}
	}
	for _, s := range r.steps {
		if err := r.step(p, s); err != nil {
			return err
		}
	}
	r.made = true
	return r.endSeed(p)
}

func (r *Restorer) step(p *tracer.Ptrace, s plan.Step) error {
	tid := r.tid(s.Task)
	if err := r.focus.on(int32(tid)); err != nil {
		return err
	}
	var call stub.Call
	switch s.Kind {
	case plan.Fork:
		return r.fork(p, s)
	case plan.Bury:
		return r.bury(p, s)
	case plan.Setsid:
		call = stub.Call{What: "setsid", Nr: unix.SYS_SETSID}
	case plan.Setpgid:
		pgid := s.Pgid
		if pgid == plan.OuterGroup {
			if pgid = r.own.caller.Group; pgid == 0 {
				return fmt.Errorf("task %d belongs to restore's own process group, which has no number in this pid namespace; start restore with setsid", s.Task)
			}
		}
		call = stub.Call{What: fmt.Sprintf("setpgid to %d", pgid), Nr: unix.SYS_SETPGID, Args: []stub.Arg{stub.I(0), stub.I(pgid)}}
	case plan.Leave:
		call = stub.Call{What: "unshare", Nr: unix.SYS_UNSHARE, Args: []stub.Arg{stub.I(s.Flags)}}
	case plan.Adopt:
		on := 0
		if s.On {
			on = 1
		}
		call = stub.Call{What: "child subreaper", Nr: unix.SYS_PRCTL, Args: []stub.Arg{stub.I(unix.PR_SET_CHILD_SUBREAPER), stub.I(on)}}
	default:
		return fmt.Errorf("task %d: unknown step %d", s.Task, s.Kind)
	}
	_, err := r.arena.Run(p, tid, []stub.Call{call})
	return err
}

// tid is the id of a task of a step.
func (r *Restorer) tid(task int32) tracer.TID {
	switch {
	case task == 0:
		return r.seed.TID // whose siblings are children of this process
	case task < 0:
		return r.helpers[task]
	}
	return tracer.TID(task)
}

func (r *Restorer) fork(p *tracer.Ptrace, s plan.Step) error {
	from := r.tid(s.Task)
	c := inject.CloneArgs{TID: tracer.TID(s.Child), Flags: s.Flags, ExitSignal: uint64(s.ExitSignal)}
	if s.Child < 0 {
		return r.forkAny(p, from, s.Child, c)
	}
	if s.Child == r.im.Tasks[0].Pid && r.orphan() {
		c.Flags, c.ExitSignal = c.Flags&^unix.CLONE_PARENT, uint64(unix.SIGCHLD)
	}
	c.Before = attr.Fork(nil, r.im.Thread(s.Child))
	if err := r.arena.Clone(p, from, c); err != nil {
		return err
	}
	if s.Child == r.im.Tasks[0].Pid {
		return r.rooted(s.Child)
	}
	return nil
}

// forkAny makes a helper that may have any id but those of the image.
func (r *Restorer) forkAny(p *tracer.Ptrace, from tracer.TID, helper int32, c inject.CloneArgs) error {
	const tries = 1000
	for range tries {
		pid, err := r.spareID()
		if err != nil {
			return err
		}
		c.TID = tracer.TID(pid)
		if err := r.arena.Clone(p, from, c); errors.Is(err, unix.EEXIST) {
			continue
		} else if err != nil {
			return err
		}
		r.helpers[helper] = c.TID
		return nil
	}
	return fmt.Errorf("task %d: no free process id for a helper", from)
}

// bury ends a helper, and has its parent wait for it.
func (r *Restorer) bury(p *tracer.Ptrace, s plan.Step) error {
	child := r.tid(s.Child)
	if err := r.arena.RunToEnd(p, child, []stub.Call{{What: "exit", Nr: unix.SYS_EXIT_GROUP}}); err != nil {
		return err
	}
	r.focus.off() // its id may be the next one's
	if s.Task == 0 {
		return nil // it was a child of this process, which has just waited for it
	}
	_, err := r.arena.Run(p, r.tid(s.Task), []stub.Call{{What: fmt.Sprintf("wait for %d", child), Nr: unix.SYS_WAIT4,
		Args: []stub.Arg{stub.I(int(child)), stub.I(0), stub.I(unix.WALL), stub.I(0)}}})
	return err
}
