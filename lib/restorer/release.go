package restorer

import (
	"bytes"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"floe/lib/inject"
	"floe/lib/procfs"
	"floe/lib/record"
	"floe/lib/tracer"
)

// arm makes every thread ready, up to the point of no return. Until it has
// returned nil nothing of the tree would survive this process.
func (r *Restorer) arm(p *tracer.Ptrace) error {
	slots := map[uint64]int{}
	if err := r.threadsOf(func(t *record.Task, tid tracer.TID) error {
		slot := slots[t.MmId]
		slots[t.MmId]++
		f, err := r.withXState(tid)
		if err != nil {
			return err
		}
		return r.arena.Arm(p, tid, slot, f)
	}); err != nil {
		return err
	}
	if err := r.threadsOf(func(_ *record.Task, tid tracer.TID) error {
		return inject.Disarm(p, tid)
	}); err != nil {
		return err
	}
	r.seed.Commit()
	return nil
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

// letGo releases a committed tree.
func (r *Restorer) letGo(p *tracer.Ptrace) error {
	if err := r.threadsOf(func(_ *record.Task, tid tracer.TID) error {
		return inject.Settle(p, tid, r.finals[int32(tid)])
	}); err != nil {
		return err
	}
	if err := r.live(func(t *record.Task) error {
		if !r.shares.OwnsMM(t) {
			return nil
		}
		return r.unmapArena(p, t)
	}); err != nil {
		return err
	}
	// Children first: a parent must not find its children missing from where
	// it left them because they have not run yet, nor see them end early.
	return r.live(func(t *record.Task) error { return r.detach(p, t) })
}

// unmapArena takes floe's arena out of a process, by code in the process's own
// vDSO where it has one: that survives our death at any instant.
func (r *Restorer) unmapArena(p *tracer.Ptrace, t *record.Task) error {
	tid, f := tracer.TID(t.Pid), r.finals[t.Pid]
	g, err := inject.NewGuest(tid)
	if err != nil {
		return r.arena.UnmapArena(p, tid, f)
	}
	defer g.Close()
	th := inject.Thread{TID: tid, Regs: f.Regs, Mask: f.Mask}
	return g.Run(p, th, r.arena.UnmapCalls(), func(res []int64, _ func(int, int) ([]byte, error)) error {
		if res[0] != 0 {
			return fmt.Errorf("munmap of floe's arena: %w", unix.Errno(-res[0]))
		}
		return nil
	})
}

// detach lets the threads of one process go. One that was stopped goes into
// its stop: the leader first, since the others would run until it has told
// them.
func (r *Restorer) detach(p *tracer.Ptrace, t *record.Task) error {
	for i, tid := range t.Tids {
		var sig unix.Signal
		stopped := t.State == record.Task_STOPPED && i == 0
		if stopped {
			sig = unix.SIGSTOP
			if t.StopSignal != 0 {
				sig = unix.Signal(t.StopSignal)
			}
		}
		if err := p.Detach(tracer.TID(tid), sig); err != nil {
			return err
		}
		if stopped {
			if err := awaitStopped(t.Pid); err != nil {
				return err
			}
		}
	}
	return nil
}

// awaitStopped waits until a task is in group stop.
func awaitStopped(pid int32) error {
	const tries = 10000
	for range tries {
		b, err := procfs.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return err
		}
		if i := bytes.LastIndexByte(b, ')'); i >= 0 && i+2 < len(b) && b[i+2] == 'T' {
			return nil
		}
		time.Sleep(100 * time.Microsecond)
	}
	return fmt.Errorf("task %d did not stop", pid)
}
