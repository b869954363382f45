package freezer

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/inject"
	"floe/lib/procfs"
	"floe/lib/record"
	"floe/lib/stub"
	"floe/lib/tracer"
)

// thread reads one thread, and its process too when q is set.
func (c *collector) thread(g *inject.Guest, proc *Process, th *Thread, q *processQuery) (*record.Thread, error) {
	stat, err := procfs.ReadStat(int(th.TID))
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
	r := &record.Thread{Pid: int32(proc.PID), Tid: int32(th.TID), StartTime: stat.StartTime, Comm: stat.Comm, Creds: creds(status)}
	if err := c.registers(th, r); err != nil {
		return nil, err
	}
	if r.RobustList, r.RobustListLen, err = robustList(th.TID); err != nil {
		return nil, err
	}
	if err := schedule(int(th.TID), r); err != nil {
		return nil, err
	}
	if err := c.query(g, th, r, q); err != nil {
		return nil, err
	}
	pending, err := c.p.PeekSigInfo(th.TID, false)
	if err != nil {
		return nil, err
	}
	r.Pending = sigInfos(pending)
	return r, nil
}

func creds(s *procfs.Status) *record.Creds {
	return &record.Creds{
		Ruid: s.UID[0], Euid: s.UID[1], Suid: s.UID[2], Fsuid: s.UID[3],
		Rgid: s.GID[0], Egid: s.GID[1], Sgid: s.GID[2], Fsgid: s.GID[3], Groups: s.Groups,
		CapInheritable: s.CapInh, CapPermitted: s.CapPrm, CapEffective: s.CapEff, CapBounding: s.CapBnd, CapAmbient: s.CapAmb,
		NoNewPrivs: s.NoNew,
	}
}

// query runs the calls of a thread and reads their results into r.
func (c *collector) query(g *inject.Guest, th *Thread, r *record.Thread, q *processQuery) error {
	regs, err := c.p.GetRegs(th.TID)
	if err != nil {
		return err
	}
	calls := threadCalls()
	own := len(calls)
	if q != nil {
		calls = append(calls, q.calls()...)
	}
	return g.Run(c.p, inject.Thread{TID: th.TID, Regs: regs, Mask: r.Sigmask}, calls, func(res []int64, data func(int, int) ([]byte, error)) error {
		if err := readThread(r, res, data); err != nil {
			return err
		}
		if q == nil {
			return nil
		}
		return q.read(res[own:], func(call, arg int) ([]byte, error) { return data(own+call, arg) })
	})
}

// threadCalls asks for what is a thread's own; readThread knows the order.
func threadCalls() []stub.Call {
	prctl := func(what string, op int, size int) stub.Call {
		c := stub.Call{What: what, Nr: unix.SYS_PRCTL, Args: []stub.Arg{stub.I(op)}}
		if size > 0 {
			c.Args = append(c.Args, stub.D(make([]byte, size)))
		}
		return c
	}
	const getTidAddress, getTSC = 40, 25
	return []stub.Call{
		{What: "sigaltstack", Nr: unix.SYS_SIGALTSTACK, Args: []stub.Arg{stub.I(0), stub.D(make([]byte, 24))}},
		prctl("clear_child_tid", getTidAddress, 8),
		prctl("parent death signal", unix.PR_GET_PDEATHSIG, 4),
		prctl("TSC mode", getTSC, 4),
		prctl("securebits", unix.PR_GET_SECUREBITS, 0),
		prctl("timer slack", unix.PR_GET_TIMERSLACK, 0),
	}
}

func readThread(r *record.Thread, res []int64, data func(int, int) ([]byte, error)) error {
	le := binary.LittleEndian
	for i, call := range threadCalls() {
		if res[i] < 0 {
			return fmt.Errorf("%s: %w", call.What, unix.Errno(-res[i]))
		}
		var b []byte
		if n := len(call.Args) - 1; call.Args[n].Kind == stub.Data {
			var err error
			if b, err = data(i, n); err != nil {
				return err
			}
		}
		switch i {
		case 0:
			r.Altstack = &record.AltStack{Sp: le.Uint64(b), Flags: le.Uint32(b[8:]), Size: le.Uint64(b[16:])}
		case 1:
			r.ClearChildTid = le.Uint64(b)
		case 2:
			r.PdeathSignal = le.Uint32(b)
		case 3:
			r.TscMode = le.Uint32(b)
		case 4:
			r.Creds.Securebits = uint32(res[i])
		case 5:
			r.TimerSlackNs = uint64(res[i])
		}
	}
	return nil
}

// schedule reads how a thread is scheduled.
func schedule(tid int, r *record.Thread) error {
	a, err := unix.SchedGetAttr(tid, 0)
	if err != nil {
		return fmt.Errorf("sched_getattr: %w", err)
	}
	mask := make([]byte, 1024)
	n, e := getAffinity(tid, mask)
	if e != 0 {
		return fmt.Errorf("sched_getaffinity: %w", e)
	}
	const whoProcess = 1
	prio, _, e := unix.Syscall(unix.SYS_IOPRIO_GET, whoProcess, uintptr(tid), 0)
	if e != 0 {
		return fmt.Errorf("ioprio_get: %w", e)
	}
	const classShift = 13
	if prio>>classShift == 0 {
		prio = 0 // none set: the kernel derives one from the nice value
	}
	r.Sched = &record.Sched{Policy: a.Policy, Nice: a.Nice, Priority: a.Priority, Flags: a.Flags, Runtime: a.Runtime,
		Deadline: a.Deadline, Period: a.Period, Affinity: mask[:n], Ioprio: uint32(prio)}
	return nil
}

// readRseq reads a thread's rseq registration. On a kernel that can't tell,
// the thread is refused: most programs of glibc 2.35 on have one.
func (c *collector) readRseq(th *Thread, r *record.Thread) error {
	cfg, err := c.p.RseqConfig(th.TID)
	if err != nil {
		return err
	}
	if cfg.Addr == 0 {
		return nil
	}
	r.Rseq = &record.Rseq{Addr: cfg.Addr, Size: cfg.Size, Signature: cfg.Signature}
	const rseqCS = 8 // offset of rseq_cs in struct rseq
	var b [8]byte
	if err := tracer.ReadMem(th.TID, tracer.Addr(cfg.Addr+rseqCS), b[:]); err != nil {
		return err
	}
	r.Rseq.CriticalSection = binary.LittleEndian.Uint64(b[:])
	return nil
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
