package freezer

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"floe/lib/inject"
	"floe/lib/procfs"
	"floe/lib/tracer"
	"floe/lib/vdso"
)

// insideVDSO lists the threads that stand in their vDSO: in code that belongs
// to this kernel, or in a guest program that an earlier freeze left running
// when it was killed.
//
// It also makes sure that every thread is where its last report said.
func (t *Tree) insideVDSO(p *tracer.Ptrace) ([]*Thread, error) {
	var inside []*Thread
	for _, proc := range t.Procs {
		for _, th := range proc.Threads {
			if th.gone {
				continue
			}
			pc, err := programCounter(p, th.TID)
			if err != nil {
				return nil, err
			}
			if proc.vdso == nil {
				if err := t.findVDSO(proc, th); err != nil {
					return nil, err
				}
			}
			if proc.inVDSO(uint64(pc)) {
				inside = append(inside, th)
			}
		}
	}
	return inside, nil
}

// findVDSO finds all code of vDSOs that a process has: the kernel's, and what
// leads to it in a process with a proxy.
func (t *Tree) findVDSO(proc *Process, th *Thread) error {
	if start, end, ok := inject.NativeVDSO(tracer.TID(proc.PID)); ok {
		proc.vdso = []vdso.Span{{Start: uint64(start), End: uint64(end)}}
		return nil
	}
	code, err := t.codeOf(proc.PID)
	if err != nil && dead(proc.PID) {
		return errAgain // it ended while the tree was being frozen
	} else if err != nil {
		return fmt.Errorf("task %d (%s): %w", proc.PID, comm(th.TID), err)
	}
	proc.vdso = code
	return nil
}

func (t *Tree) codeOf(pid int) ([]vdso.Span, error) {
	p, areas, done, err := vdso.OpenProcess(strconv.Itoa(pid))
	if err != nil {
		return nil, err
	}
	defer done()
	code, ok, err := vdso.Code(areas)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("it has no vDSO, and so no room for floe's code: it can't be checkpointed")
	}
	spans := []vdso.Span{{Start: code.Start, End: code.End}}
	if t.kernel == nil {
		here, err := vdso.Here()
		if err != nil {
			return nil, err
		}
		t.kernel = &here
	}
	proxy, _, err := vdso.FindProxy(p, areas, *t.kernel)
	if err != nil {
		return nil, err
	}
	if proxy != nil {
		code, _, _ := vdso.Code(proxy.Image.Areas)
		spans = append(spans, vdso.Span{Start: code.Start, End: code.End})
	}
	return spans, nil
}

// inVDSO tells whether an address is in the code of a vDSO.
func (p *Process) inVDSO(pc uint64) bool {
	for _, s := range p.vdso {
		if pc >= s.Start && pc < s.End {
			return true
		}
	}
	return false
}

// dead tells whether a process has ended: it has no memory then.
func dead(pid int) bool {
	s, err := procfs.ReadStat(pid)
	return err != nil || s.State == 'Z' || s.State == 'X'
}

// How long a thread may run to leave its vDSO: a call there takes less than a
// microsecond, but a thread may have to be woken on a busy processor first.
const (
	firstNudge = 30 * time.Microsecond
	mostNudge  = 5 * time.Millisecond
)

// stepOut lets threads run on for a moment and stops them again. Stepping them
// by single instructions would be exact, but the trap flag would stay when this
// process is killed, and kill them.
func (t *Tree) stepOut(ctx context.Context, p *tracer.Ptrace, list []*Thread, nudge time.Duration) error {
	if ctx.Err() != nil {
		return &stuckError{tid: list[0].TID, comm: comm(list[0].TID), what: "it calls its vDSO all the time, and can't be stopped outside of it"}
	}
	for _, th := range list {
		if err := p.Cont(th.TID, 0); err != nil {
			return err
		}
		th.stopped, th.Proc.vdso = false, nil
	}
	time.Sleep(nudge)
	// A thread may have stopped already: one that job control had stopped does so
	// twice. Another request would only stop it again where it stands.
	if err := t.takeStops(p); err != nil {
		return err
	}
	for _, th := range list {
		if th.stopped || th.gone {
			continue
		}
		if err := p.Interrupt(th.TID); err != nil && !errors.Is(err, tracer.ErrTaskGone) {
			return err // one that is gone has a status to fetch
		}
	}
	return t.awaitStops(ctx, p, t.running())
}

// takeStops takes the stops that have come.
func (t *Tree) takeStops(p *tracer.Ptrace) error {
	for {
		tid, stop, err := p.WaitAny(false)
		if err != nil || tid == 0 {
			if errors.Is(err, tracer.ErrTaskGone) {
				err = nil
			}
			return err
		}
		if err := t.stopped(p, tid, stop); err != nil {
			return err
		}
	}
}
