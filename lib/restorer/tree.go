package restorer

import (
	"fmt"

	"golang.org/x/sys/unix"

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
	for _, s := range r.steps {
		if err := r.step(p, s); err != nil {
			return err
		}
	}
	r.made = true
	return nil
}

func (r *Restorer) step(p *tracer.Ptrace, s plan.Step) error {
	tid := tracer.TID(s.Task)
	if s.Task == 0 {
		tid = r.seed.TID
	}
	if err := r.focus.on(int32(tid)); err != nil {
		return err
	}
	switch s.Kind {
	case plan.Fork:
		c := inject.CloneArgs{TID: tracer.TID(s.Child.Pid), Flags: s.Flags, ExitSignal: uint64(s.Child.ExitSignal)}
		if s.Task == 0 {
			// A sibling of the first puppet: a child of this process, with the
			// same exit signal, SIGCHLD.
			c.Flags, c.ExitSignal = unix.CLONE_PARENT, 0
		}
		if err := r.arena.Clone(p, tid, c); err != nil {
			return err
		}
		if s.Task == 0 {
			r.seed.Kill(p)
			return r.rooted(s.Child.Pid)
		}
		return nil
	case plan.Bury:
		return r.bury(p, tid, s.Child)
	case plan.Setsid:
		_, err := r.arena.Run(p, tid, []stub.Call{{What: "setsid", Nr: unix.SYS_SETSID}})
		return err
	case plan.Setpgid:
		_, err := r.arena.Run(p, tid, []stub.Call{{What: fmt.Sprintf("setpgid to %d", s.Pgid), Nr: unix.SYS_SETPGID,
			Args: []stub.Arg{stub.I(0), stub.I(s.Pgid)}}})
		return err
	}
	return fmt.Errorf("task %d: unknown step %d", s.Task, s.Kind)
}

// bury ends a child that was made only to lead a process group, and has its
// parent wait for it.
func (r *Restorer) bury(p *tracer.Ptrace, parent tracer.TID, t *record.Task) error {
	if err := r.arena.RunToEnd(p, tracer.TID(t.Pid), []stub.Call{{What: "exit", Nr: unix.SYS_EXIT_GROUP}}); err != nil {
		return err
	}
	_, err := r.arena.Run(p, parent, []stub.Call{{What: fmt.Sprintf("wait for %d", t.Pid), Nr: unix.SYS_WAIT4,
		Args: []stub.Arg{stub.I(t.Pid), stub.I(0), stub.I(unix.WALL), stub.I(0)}}})
	return err
}

// makeZombies ends the tasks that were dead already, as they ended.
func (r *Restorer) makeZombies(p *tracer.Ptrace) error {
	for _, t := range r.im.Tasks {
		if t.State != record.Task_ZOMBIE {
			continue
		}
		err := r.focus.on(t.Pid)
		if err == nil {
			err = r.makeZombie(p, t)
		}
		if err != nil {
			return taskErr(t, err)
		}
	}
	return nil
}

func (r *Restorer) makeZombie(p *tracer.Ptrace, t *record.Task) error {
	ws := unix.WaitStatus(t.ExitCode)
	tid := tracer.TID(t.Pid)
	calls := []stub.Call{{What: "name", Nr: unix.SYS_PRCTL, Args: []stub.Arg{stub.I(unix.PR_SET_NAME), stub.S(t.Comm)}}}
	switch {
	case ws.Exited():
		calls = append(calls, stub.Call{What: "exit", Nr: unix.SYS_EXIT_GROUP, Args: []stub.Arg{stub.I(ws.ExitStatus())}})
	case ws.CoreDump():
		return fmt.Errorf("a zombie that dumped core can't be restored yet")
	default:
		// All signals but SIGTRAP are blocked in a puppet: kill it outright.
		if ws.Signal() != unix.SIGKILL {
			if err := p.SetSigMask(tid, 0); err != nil {
				return err
			}
		}
		calls = append(calls, stub.Call{What: "end by its signal", Nr: unix.SYS_KILL, Args: []stub.Arg{stub.I(t.Pid), stub.I(int(ws.Signal()))}})
	}
	return r.arena.RunToEnd(p, tid, calls)
}
