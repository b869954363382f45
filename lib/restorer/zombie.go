package restorer

import (
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/inject"
	"floe/lib/plan"
	"floe/lib/record"
	"floe/lib/stub"
	"floe/lib/tracer"
)

// makeZombies ends the tasks that were dead already, as they ended, and then
// takes from the others the signals that came of it.
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
	quiet := plan.Quiet(plan.ExitSignals(r.im.Tasks, r.steps))
	if len(quiet) == 0 {
		return nil
	}
	return r.live(func(t *record.Task) error {
		_, err := r.arena.Run(p, tracer.TID(t.Pid), quiet)
		return err
	})
}

func (r *Restorer) makeZombie(p *tracer.Ptrace, t *record.Task) error {
	ws := unix.WaitStatus(t.ExitCode)
	tid := tracer.TID(t.Pid)
	calls, err := plan.Zombie(t, r.own.limits, r.own.bounding)
	if err != nil {
		return err
	}
	if ws.Exited() {
		return r.arena.RunToEnd(p, tid, append(calls, stub.Call{What: "exit", Nr: unix.SYS_EXIT_GROUP, Args: []stub.Arg{stub.I(ws.ExitStatus())}}))
	}
	if _, err := r.arena.Run(p, tid, calls); err != nil {
		return err
	}
	s, err := inject.EndBy(p, tid, ws.Signal())
	if err == nil && (s.Kind != tracer.Killed || s.Signal != ws.Signal() || s.Core) {
		err = fmt.Errorf("%s where signal %d should have ended it", s, ws.Signal())
	}
	return err
}
