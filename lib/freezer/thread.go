package freezer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"floe/lib/attr"
	"floe/lib/inject"
	"floe/lib/procfs"
	"floe/lib/record"
	"floe/lib/stub"
	"floe/lib/tracer"
)

// thread reads one thread, and its process too when q is set.
func (c *collector) thread(g *inject.Guest, proc *Process, leader *record.Task, th *Thread, q *processQuery) (*record.Thread, error) {
	stat, err := procfs.ReadThreadStat(proc.PID, int(th.TID))
	if err != nil {
		return nil, err
	}
	status, err := procfs.ReadStatus(int(th.TID))
	if err != nil {
		return nil, err
	}
	if why := refuseStatus(status); why != "" {
		return nil, errors.New(why)
	}
	if err := c.dispatch(th); err != nil {
		return nil, err
	}
	r := &record.Thread{Pid: int32(proc.PID), Tid: int32(th.TID), StartTime: stat.StartTime, Comm: stat.Comm, Creds: creds(status), Attrs: &record.ThreadAttrs{}}
	if err := c.registers(g, th, r); err != nil {
		return nil, err
	}
	if r.RobustList, r.RobustListLen, err = robustList(th.TID); err != nil {
		return nil, err
	}
	if err := schedule(int(th.TID), r); err != nil {
		return nil, err
	}
	live := &attr.Live{PID: proc.PID, TID: int(th.TID), Status: status, Stat: stat, Leader: leader, Dump: &c.attrs}
	if err := c.ask(g, live, r, q); err != nil {
		return nil, err
	}
	if err := attr.LookThread(live, r); err != nil {
		return nil, err
	}
	if r.PdeathSignal != 0 && proc.Parent != nil && int(proc.Maker) != proc.Parent.PID {
		return nil, fmt.Errorf("signal %d is to come at the end of thread %d of its parent (PR_SET_PDEATHSIG), which can't be restored yet", r.PdeathSignal, proc.Maker)
	}
	pending, err := c.p.PeekSigInfo(th.TID, false)
	if err != nil {
		return nil, err
	}
	r.Pending = sigInfos(pending)
	r.PendingBare, err = bare(int(th.TID), status.SigPnd, pending, func(s *procfs.Status) uint64 { return s.SigPnd })
	return r, err
}

func creds(s *procfs.Status) *record.Creds {
	return &record.Creds{
		Ruid: s.UID[0], Euid: s.UID[1], Suid: s.UID[2], Fsuid: s.UID[3],
		Rgid: s.GID[0], Egid: s.GID[1], Sgid: s.GID[2], Fsgid: s.GID[3], Groups: s.Groups,
		CapInheritable: s.CapInh, CapPermitted: s.CapPrm, CapEffective: s.CapEff, CapBounding: s.CapBnd, CapAmbient: s.CapAmb,
		NoNewPrivs: s.NoNew,
	}
}

// ask runs in a thread what only it can tell, and its process's calls when q
// is set.
func (c *collector) ask(g *inject.Guest, live *attr.Live, r *record.Thread, q *processQuery) error {
	tid := tracer.TID(live.TID)
	regs, err := c.p.GetRegs(tid)
	if err != nil {
		return err
	}
	t := inject.Thread{TID: tid, Regs: regs, Mask: r.Sigmask}
	var alike []stub.Call
	if q == nil && c.first.GetPid() == r.Pid {
		alike = c.alike
	}
	a, err := g.Ask(c.p, t, alike...)
	if err != nil {
		return err
	}
	r.Altstack = &record.AltStack{Sp: a.AltSP, Flags: a.AltFlags, Size: a.AltSize}
	r.ClearChildTid, r.PdeathSignal, r.TscMode, r.TimerSlackNs = a.ClearChildTID, a.PdeathSignal, a.TSC, a.TimerSlack
	r.Creds.Securebits = a.SecureBits
	switch {
	case q != nil:
		return c.askFirst(g, live, t, r, q)
	case a.Summed && a.Sum == c.sum:
		attr.SameAs(r, c.first)
		return nil
	}
	own := attr.AskThread(live, r)
	return g.Run(c.p, t, own.Calls, func(results []int64, data func(int, int) ([]byte, error)) error {
		return own.Answer(results, data)
	})
}

// askFirst asks the first thread of a process, for the process too, and what the
// others are compared with: each visit of a thread costs some switches, and there
// may be thousands that differ in nothing.
func (c *collector) askFirst(g *inject.Guest, live *attr.Live, t inject.Thread, r *record.Thread, q *processQuery) error {
	own, shared := attr.AskThread(live, r), attr.AskProcess(live, q.task)
	calls := q.calls()
	first, second := len(calls), len(calls)+len(shared.Calls)
	if err := g.Run(c.p, t, slices.Concat(calls, shared.Calls, own.Calls), func(results []int64, data func(int, int) ([]byte, error)) error {
		from := func(n int) attr.DataFunc { return func(call, arg int) ([]byte, error) { return data(n+call, arg) } }
		if err := q.read(results[:first], data); err != nil {
			return err
		}
		if err := shared.Answer(results[first:second], from(first)); err != nil {
			return err
		}
		return own.Answer(results[second:], from(second))
	}); err != nil {
		return err
	}
	if err := c.memory(g, t, q); err != nil || len(q.task.Tids) == 1 {
		return err
	}
	c.first, c.alike = r, attr.Alike(live, r)
	if len(c.alike) == 0 {
		return nil
	}
	a, err := g.Ask(c.p, t, c.alike...)
	if c.sum = a.Sum; !a.Summed {
		c.alike = nil
	}
	return err
}

// schedule reads how a thread is scheduled.
func schedule(tid int, r *record.Thread) error {
	a, err := unix.SchedGetAttr(tid, 0)
	if err != nil {
		return fmt.Errorf("sched_getattr: %w", err)
	}
	const known = 1 | 2 | 4 // SCHED_FLAG_RESET_ON_FORK, _RECLAIM, _DL_OVERRUN
	if a.Flags&^known != 0 {
		return fmt.Errorf("scheduling flags %#x are not known to this version", a.Flags&^known)
	}
	mask := make([]byte, 1024)
	n, e := getAffinity(tid, mask)
	if e != 0 {
		return fmt.Errorf("sched_getaffinity: %w", e)
	}
	nice, err := unix.Getpriority(unix.PRIO_PROCESS, tid) // 20 less the nice value: sched_getattr has none with SCHED_FIFO
	if err != nil {
		return fmt.Errorf("getpriority: %w", err)
	}
	r.Sched = &record.Sched{Policy: a.Policy, Nice: int32(20 - nice), Priority: a.Priority, Flags: a.Flags, Runtime: a.Runtime,
		Deadline: a.Deadline, Period: a.Period, Affinity: mask[:n]}
	return nil
}

// readRseq reads a thread's rseq registration, and ends a critical section that
// the freeze has cut. Most programs of glibc 2.35 on have one.
func (c *collector) readRseq(g *inject.Guest, th *Thread, r *record.Thread) error {
	cfg, err := c.p.RseqConfig(th.TID)
	if errors.Is(err, tracer.ErrNoRseqConfig) {
		r.Rseq, err = c.rseqGuess(g, th)
		return err
	}
	if err != nil || cfg.Addr == 0 {
		return err
	}
	r.Rseq = &record.Rseq{Addr: cfg.Addr, Size: cfg.Size, Signature: cfg.Signature}
	var b [8]byte
	if err := tracer.ReadMem(th.TID, tracer.Addr(cfg.Addr+rseqCS), b[:]); err != nil {
		return err
	}
	r.Rseq.CriticalSection = binary.LittleEndian.Uint64(b[:])
	return c.abortRseq(th, r.Rseq)
}

// dispatch refuses a thread whose system calls go to a handler of its own: the
// calls that are run in it would go there too.
func (c *collector) dispatch(th *Thread) error {
	on, err := c.p.SyscallUserDispatch(th.TID)
	if err == nil && on {
		err = fmt.Errorf("it has syscall user dispatch on (wine?), which can't be saved yet")
	}
	return err
}
