package freezer

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"floe/lib/procfs"
	"floe/lib/tracer"
)

// kindNames are what tasks may share, in the order of collector.kinds.
var kindNames = [...]string{"memory", "descriptors", "working directory", "signal handlers"}

// sharedOutside refuses a tree that shares anything with a process outside of
// it, whoever that is: its contents would change while they are saved, and what
// is restored would be two. Everything of the tree has been numbered.
func (c *collector) sharedOutside(t *Tree) error {
	pids, err := procfs.Processes()
	if err != nil {
		return err
	}
	kernel := kernelThreads()
	for _, pid := range pids {
		if t.byPID[pid] != nil || kernel.has(pid) {
			continue
		}
		// Who shares signal handlers shares memory.
		if err := c.sharedWith(pid, pid, []*numbering{&c.mm, &c.files, &c.fs}); err != nil {
			return err
		}
		if singleThreaded(pid) {
			continue
		}
		// Threads of one process share all but these; but the first one may have
		// ended, and has no memory then.
		tids, _ := procfs.Threads(pid) // none: it has ended
		for i, tid := range tids {
			kinds := []*numbering{&c.files, &c.fs, &c.mm}
			if i > 1 {
				kinds = kinds[:2]
			}
			if err := c.sharedWith(pid, tid, kinds); err != nil {
				return err
			}
		}
	}
	return nil
}

// sharedWith refuses a task outside of the tree that has one of the tree's
// objects. One that freeze may not look at belongs to somebody else, and can't.
func (c *collector) sharedWith(pid, tid int, kinds []*numbering) error {
	for _, n := range kinds {
		_, with, err := n.find(tid)
		switch {
		case errors.Is(err, unix.ESRCH), errors.Is(err, unix.EPERM):
			return nil
		case err != nil:
			return err
		case with != 0:
			return fmt.Errorf("task %d (%s) shares its %s with task %d (%s), which is not in its tree (clone or vfork); freeze a tree that has both",
				with, comm(tracer.TID(with)), kindNames[n.kind-1], pid, comm(tracer.TID(pid)))
		}
	}
	return nil
}

// singleThreaded tells by its folder of threads, which has a link for each,
// whether a process has one thread.
func singleThreaded(pid int) bool {
	const alone = 3
	var st unix.Stat_t
	return unix.Stat(fmt.Sprintf("/proc/%d/task", pid), &st) != nil || st.Nlink <= alone
}

// places tells which sessions and process groups of a tree are its own, although
// their leaders have ended.
type places struct {
	tree           *Tree
	sessions       map[int]int // of those that concern the tree, a process outside of it that is in it
	groups         map[int]int
	ended          map[int]bool // leaders, once they were looked for
	outsiders      bool         // sessions and groups have been read
	session, group int          // the root's
}

func (t *Tree) places() *places {
	root := t.Procs[0].Stat
	return &places{tree: t, ended: map[int]bool{}, session: root.Session, group: root.PGRP}
}

// sessionGone tells whether a session has lost its leader and is no other
// process's. (A session that began below the root, and which somebody who has
// left the tree is still in, is the tree's: it has no other place to go to.)
func (p *places) sessionGone(sid int) (bool, error) {
	if !p.leaderEnded(sid) || sid != p.session {
		return p.leaderEnded(sid), nil
	}
	err := p.look()
	return p.sessions[sid] == 0, err
}

func (p *places) groupGone(pgid int) (bool, error) {
	if !p.leaderEnded(pgid) || pgid != p.group {
		return p.leaderEnded(pgid), nil
	}
	err := p.look()
	return p.groups[pgid] == 0, err
}

// leaderEnded tells whether a leader is neither in the tree nor alive elsewhere.
// A session or group that began outside of the pid namespace has the number 0.
func (p *places) leaderEnded(id int) bool {
	if id == 0 || p.tree.byPID[id] != nil {
		return false
	}
	ended, known := p.ended[id]
	if !known {
		s, err := procfs.ReadStat(id)
		ended = errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) || err == nil && (s.State == 'Z' || s.State == 'X')
		p.ended[id] = ended
	}
	return ended
}

// Stranded refuses to end a tree of which somebody outside is in a session or a
// process group: the kernel gives the number of that to no process, so the tree
// could not be brought back here while that one runs.
func (t *Tree) Stranded() error {
	p := t.places()
	if err := p.look(); err != nil {
		return err
	}
	for _, proc := range t.Procs {
		for _, in := range []struct {
			of   map[int]int
			what string
		}{{p.sessions, "session"}, {p.groups, "process group"}} {
			if pid, ok := in.of[proc.PID]; ok {
				return fmt.Errorf("task %d (%s), which is not in the tree, is in %s %d, that of task %d (%s), which could not be restored while it runs; end it, or freeze a tree that has both",
					pid, comm(tracer.TID(pid)), in.what, proc.PID, proc.PID, proc.Stat.Comm)
			}
		}
	}
	return nil
}

// look finds the processes outside of the tree that are in its sessions and groups.
func (p *places) look() error {
	if p.outsiders {
		return nil
	}
	p.outsiders, p.sessions, p.groups = true, map[int]int{}, map[int]int{}
	pids, err := procfs.Processes()
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if p.tree.byPID[pid] != nil {
			continue
		}
		sid, err := unix.Getsid(pid)
		pgid, failed := unix.Getpgid(pid)
		if err != nil || failed != nil || !p.concerns(sid) && !p.concerns(pgid) {
			continue
		}
		// Only now: reading it costs fifty times as much as the two calls.
		if s, err := procfs.ReadStat(pid); err == nil && s.State != 'Z' && s.State != 'X' {
			p.sessions[s.Session], p.groups[s.PGRP] = pid, pid
		}
	}
	return nil
}

// concerns tells whether an id is the root's session or group, or a task's.
func (p *places) concerns(id int) bool {
	return id == p.session || id == p.group || p.tree.byPID[id] != nil
}
