package freezer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"floe/lib/attr"
	"floe/lib/inject"
	"floe/lib/procfs"
	"floe/lib/record"
	"floe/lib/stub"
	"floe/lib/tracer"
)

// collector reads a frozen tree into records.
type collector struct {
	p                      *tracer.Ptrace
	mm, files, fs, sighand numbering
	emit                   func(*record.Record) error
	time                   uint64 // time namespace of the root
	rseqOffset             uint64 // where the thread before had it, from its thread pointer
	places                 *places
	kernel                 kernelsOwn
	attrs                  attr.Dump

	first *record.Thread // of the process with several that was asked last
	alike []stub.Call    // for its other threads: see askFirst
	sum   uint64
}

// kinds are the kinds of what tasks may share.
func (c *collector) kinds() []*numbering { return []*numbering{&c.mm, &c.files, &c.fs, &c.sighand} }

// Collect gives a record of every task and thread of the tree to emit.
func (t *Tree) Collect(p *tracer.Ptrace, emit func(*record.Record) error) error {
	c := &collector{p: p, emit: emit, mm: numbering{kind: kcmpVM}, files: numbering{kind: kcmpFiles},
		fs: numbering{kind: kcmpFS}, sighand: numbering{kind: kcmpSighand}, places: t.places()}
	defer c.attrs.Close()
	if err := c.number(t); err != nil {
		return err
	}
	shared := make(chan error, 1)
	go func() { shared <- c.sharedOutside(t) }() // meanwhile
	err := c.processes(t)
	return errors.Join(<-shared, err)
}

func (c *collector) processes(t *Tree) error {
	for _, proc := range t.Procs {
		if err := c.process(t, proc); err != nil {
			return fmt.Errorf("task %d (%s): %w", proc.PID, proc.Stat.Comm, err)
		}
	}
	return nil
}

// number finds what the processes share.
func (c *collector) number(t *Tree) (err error) {
	for _, proc := range t.Procs {
		for i, n := range c.kinds() {
			if proc.Zombie {
				continue
			}
			if proc.objects[i], err = n.id(proc.PID); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *collector) process(t *Tree, proc *Process) error {
	s := proc.Stat
	task := &record.Task{
		Pid: int32(proc.PID), Ppid: int32(s.PPID), Pgid: int32(s.PGRP), Sid: int32(s.Session), StartTime: s.StartTime,
		ExitSignal: uint32(s.ExitSignal), TtyNr: uint32(s.TTY), TtyPgrp: int32(s.TTYPGRP), HasTty: s.TTY != 0, Comm: s.Comm,
		Attrs: &record.ProcessAttrs{},
	}
	var err error
	if task.SessionGone, err = c.places.sessionGone(s.Session); err != nil {
		return err
	}
	if task.GroupGone, err = c.places.groupGone(s.PGRP); err != nil {
		return err
	}
	if proc.Zombie {
		task.State, task.ExitCode = record.Task_ZOMBIE, uint32(s.ExitCode)
		status, err := procfs.ReadStatus(proc.PID)
		if err != nil {
			return err
		}
		task.Attrs.Zombie = creds(status)
		return c.emit(&record.Record{Body: &record.Record_Task{Task: task}})
	}
	for _, th := range proc.Threads {
		task.Tids = append(task.Tids, int32(th.TID))
	}
	if proc.stopped() {
		task.State, task.StopSignal = record.Task_STOPPED, uint32(proc.Threads[0].Stop.Signal)
	}
	status, err := procfs.ReadStatus(proc.PID)
	if err != nil {
		return err
	}
	if err := c.outside(proc, status, task); err != nil {
		return err
	}
	if err := c.undo(proc); err != nil {
		return err
	}
	if err := c.inside(proc, task); err != nil {
		return err
	}
	return c.withQueue(&record.Record{Body: &record.Record_Task{Task: task}}, &task.Pending, task.Pid, 0)
}

// outside reads what can be read of a process without running anything in it.
func (c *collector) outside(proc *Process, status *procfs.Status, task *record.Task) error {
	if err := sameNamespaces(proc.PID); err != nil {
		return err
	}
	if ns := timeNamespace(fmt.Sprintf("/proc/%d/ns/time", proc.PID)); proc.Parent == nil {
		c.time = ns
	} else if ns != c.time {
		return fmt.Errorf("it is in another time namespace than the root of its tree; such a tree can't be saved yet")
	}
	task.MmId, task.FilesId, task.FsId, task.SighandId = proc.objects[0], proc.objects[1], proc.objects[2], proc.objects[3]
	limits, err := procfs.ReadLimits(proc.PID)
	if err != nil {
		return err
	}
	for _, l := range limits {
		task.Limits = append(task.Limits, &record.Limit{Cur: l.Cur, Max: l.Max})
	}
	oom, err := number(proc.PID, "oom_score_adj", 10)
	if err != nil {
		return err
	}
	task.OomScoreAdj, task.Umask = int32(oom), status.Umask
	return attr.LookProcess(&attr.Live{PID: proc.PID, TID: proc.PID, Status: status, Stat: proc.Stat, Dump: &c.attrs}, task)
}

func number(pid int, name string, base int) (int64, error) {
	path := fmt.Sprintf("/proc/%d/%s", pid, name)
	b, err := procfs.ReadFile(path)
	if err != nil {
		return 0, err
	}
	v, err := strconv.ParseInt(strings.TrimSpace(string(b)), base, 64)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return v, nil
}

// inside runs what only the tasks themselves can tell, and gives a record of
// each thread to emit: a process may have more of them than there is memory for.
func (c *collector) inside(proc *Process, task *record.Task) (err error) {
	g, err := inject.NewGuest(tracer.TID(proc.PID))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	timers, err := procfs.ReadTimers(proc.PID)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	stops, queued := false, map[int32]uint32{}
	for i, th := range proc.Threads {
		var q *processQuery
		if i == 0 {
			q = &processQuery{task: task, timers: timers}
			if q.ranges, err = ranges(proc.PID); err != nil {
				return err
			}
		} else if err := c.sharesAll(proc.PID, int(th.TID)); err != nil {
			return err
		}
		r, err := c.thread(g, proc, task, th, q)
		if err != nil {
			return err
		}
		stops = stops || slices.ContainsFunc(r.Pending, isStop)
		timersIn(queued, r.Pending)
		if err := c.withQueue(&record.Record{Body: &record.Record_Thread{Thread: r}}, &r.Pending, r.Pid, r.Tid); err != nil {
			return err
		}
	}
	// Only now: a signal that came during the calls above was delivered.
	shared := func(s *procfs.Status) uint64 { return s.ShdPnd }
	status, err := procfs.ReadStatus(proc.PID)
	if err != nil {
		return err
	}
	pending, err := c.p.PeekSigInfo(proc.Threads[0].TID, true)
	if err != nil {
		return err
	}
	task.Pending = sigInfos(pending)
	if task.PendingBare, err = bare(proc.PID, shared(status), pending, shared); err != nil {
		return err
	}
	timersIn(queued, task.Pending)
	if err := c.posixTimers(proc.PID, task, queued); err != nil {
		return err
	}
	// A SIGSTOP may have come while the process was frozen.
	if stops = stops || slices.ContainsFunc(task.Pending, isStop); stops && task.State == record.Task_RUNNING {
		task.State, task.StopSignal = record.Task_STOPPED, uint32(unix.SIGSTOP)
	}
	return nil
}

func isStop(s *record.SigInfo) bool {
	return binary.LittleEndian.Uint32(s.Raw) == uint32(unix.SIGSTOP)
}

// queueAtOnce is how many queued signals a record has: a queue may be longer
// than a record.
const queueAtOnce = 4096

// withQueue gives a record of a task or a thread to emit, and what of its queue
// goes into records of their own.
func (c *collector) withQueue(rec *record.Record, queue *[]*record.SigInfo, pid, tid int32) error {
	list := *queue
	first := min(len(list), queueAtOnce)
	*queue, list = list[:first], list[first:]
	if err := c.emit(rec); err != nil {
		return err
	}
	for part := range slices.Chunk(list, queueAtOnce) {
		if err := c.emit(&record.Record{Body: &record.Record_Pending{Pending: &record.Pending{Pid: pid, Tid: tid, Signals: part}}}); err != nil {
			return err
		}
	}
	return nil
}

// sharesAll refuses a thread with a descriptor table or directories of its own.
func (c *collector) sharesAll(pid, tid int) error {
	for what, kind := range map[string]int{"descriptors": kcmpFiles, "working directory": kcmpFS} {
		r, err := kcmp(pid, tid, kind)
		if err != nil {
			return err
		}
		if r != 0 {
			return fmt.Errorf("thread %d has its own %s (unshare); such a thread can't be saved yet", tid, what)
		}
	}
	return nil
}

func sigInfos(list [][tracer.SigInfoSize]byte) []*record.SigInfo {
	var out []*record.SigInfo
	for _, raw := range list {
		out = append(out, &record.SigInfo{Raw: append([]byte(nil), raw[:]...)})
	}
	return out
}

// robustList is get_robust_list(2).
func robustList(tid tracer.TID) (head, size uint64, err error) {
	h, s, e := getRobustList(int(tid))
	if e != 0 {
		return 0, 0, fmt.Errorf("get_robust_list: %w", unix.Errno(e))
	}
	return h, s, nil
}
