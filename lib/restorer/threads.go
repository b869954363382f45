package restorer

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"floe/lib/cpu"
	"floe/lib/inject"
	"floe/lib/plan"
	"floe/lib/procfs"
	"floe/lib/record"
	"floe/lib/stub"
	"floe/lib/tracer"
)

// threadFlags is what threads of a process share.
const threadFlags = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_THREAD | unix.CLONE_SYSVSEM

// cloneThreads makes all threads, bare.
func (r *Restorer) cloneThreads(p *tracer.Ptrace) error {
	for _, t := range r.im.Tasks {
		if t.State == record.Task_ZOMBIE || len(t.Tids) == 1 {
			continue
		}
		var args []inject.CloneArgs
		for _, tid := range t.Tids[1:] {
			args = append(args, inject.CloneArgs{TID: tracer.TID(tid), Flags: threadFlags, Before: r.before[tid]})
		}
		err := r.focus.on(t.Pid)
		if err == nil {
			err = r.arena.Clone(p, tracer.TID(t.Pid), args...)
		}
		if err != nil {
			return taskErr(t, err)
		}
	}
	return nil
}

// prepareThread gives a thread its own state, and works out its last, but for
// what withXState adds.
func (r *Restorer) prepareThread(p *tracer.Ptrace, t *record.Task, id int32) error {
	tid := tracer.TID(id)
	th := r.im.Thread(id)
	if th == nil {
		return fmt.Errorf("its thread %d is not in the image", id)
	}
	if err := setSched(th); err != nil {
		return err
	}
	if err := r.here.WriteThread(th); err != nil {
		return fmt.Errorf("thread %d: %w", id, err)
	}
	calls := append(plan.Drain(), r.here.SetThread(th)...)
	own, err := plan.Thread(th, r.own.bounding)
	if err != nil {
		return err
	}
	if _, err := r.arena.Run(p, tid, append(calls, own...)); err != nil {
		return err
	}
	if flags := plan.OwnFlags(th.Regs); flags != 0 {
		if err := r.arena.SetFlags(p, tid, flags); err != nil {
			return err
		}
	}
	kernel, resumed, err := plan.Registers(th)
	if err != nil {
		return err
	}
	f := &inject.Final{Regs: kernel, Resumed: resumed, Mask: th.Sigmask}
	if a := th.Altstack; a != nil {
		f.Alt = stub.AltStack{SP: a.Sp, Flags: a.Flags, Size: a.Size}
	}
	r.finals[th.Tid] = f
	if traps := plan.Traps(t.Pid, id, th.Pending); len(traps) > 0 {
		r.trapped[id] = traps
	}
	return nil
}

// withXState is a thread's last state with its extended registers, as this
// processor has them. They are the most of it, and not kept.
func (r *Restorer) withXState(tid tracer.TID) (*inject.Final, error) {
	f := *r.finals[int32(tid)]
	var err error
	if f.XState, err = cpu.XState(r.im.Thread(int32(tid)).GetXstate(), r.im.Header.Cpu, r.cpu); err != nil {
		return nil, fmt.Errorf("thread %d: %w", tid, err)
	}
	f.FrameState, f.FrameMask = cpu.FrameState(f.XState, r.cpu)
	return &f, nil
}

// setOwners says who gets the signals of descriptors, now that all are there.
func (r *Restorer) setOwners(*tracer.Ptrace) error { return r.held.set.SetOwners() }

// finishProcesses does what comes last in each process: what the change of
// credentials reset, and timers, which run from then on.
func (r *Restorer) finishProcesses(p *tracer.Ptrace) error {
	return r.live(func(t *record.Task) error {
		if err := r.makeTimers(p, t); err != nil {
			return err
		}
		if err := r.queueSignals(p, t); err != nil {
			return err
		}
		calls := append(plan.Dumpable(t), plan.StartTimers(t.PosixTimers)...)
		calls = append(append(calls, plan.Itimers(t.Itimers)...), r.here.Last(t)...)
		if r.traps(t) == nil {
			calls = append(calls, plan.LastLimit(t.Limits))
		}
		_, err := r.arena.Run(p, tracer.TID(t.Pid), calls)
		return err
	})
}

// traps plans what has to do with SIGTRAP, by thread; nil when that is nothing: the
// action first, since to ignore a signal drops those that are pending.
func (r *Restorer) traps(t *record.Task) map[int32][]stub.Call {
	var by map[int32][]stub.Call
	add := func(tid int32, calls []stub.Call) {
		if len(calls) > 0 {
			if by == nil {
				by = map[int32][]stub.Call{}
			}
			by[tid] = append(by[tid], calls...)
		}
	}
	add(t.Pid, plan.IgnoredTrap(t.Actions))
	add(t.Pid, plan.Traps(t.Pid, 0, t.Pending))
	for _, tid := range t.Tids {
		add(tid, r.trapped[tid])
	}
	return by
}

// settleTraps has SIGTRAP ignored where it was, and queues those that were
// pending, the last thing that their threads do: a trap that ends a table of
// calls would reset the one, and take the other. All threads of such a process
// block every signal from here on.
func (r *Restorer) settleTraps(p *tracer.Ptrace) error {
	return r.live(func(t *record.Task) error {
		calls := r.traps(t)
		if calls == nil {
			return nil
		}
		calls[t.Tids[len(t.Tids)-1]] = append(calls[t.Tids[len(t.Tids)-1]], plan.LastLimit(t.Limits))
		for _, tid := range t.Tids {
			if err := p.SetSigMask(tracer.TID(tid), inject.AllSignals); err != nil {
				return err
			}
		}
		for _, tid := range t.Tids {
			for _, c := range calls[tid] {
				if err := r.arena.CallBlocked(p, tracer.TID(tid), c); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// setOOMScore sets oom_score_adj where it differs from what was inherited:
// lowering it needs CAP_SYS_RESOURCE.
func setOOMScore(t *record.Task) error {
	name := fmt.Sprintf("/proc/%d/oom_score_adj", t.Pid)
	b, err := procfs.ReadFile(name)
	if err != nil {
		return err
	}
	if have, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil && have == int(t.OomScoreAdj) {
		return nil
	}
	if err := os.WriteFile(name, []byte(strconv.Itoa(int(t.OomScoreAdj))), 0); err != nil {
		return fmt.Errorf("oom_score_adj %d: %w", t.OomScoreAdj, err)
	}
	return nil
}
