package plan

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// proc is a process of a simulated kernel.
type proc struct {
	pid, parent, sid, pgid int32
	exit                   uint32
	zombie, reaper         bool
	kids                   []*proc
	objs                   [kinds]uint64
	status                 uint32
}

// kernel has the rules of fork(2), setsid(2), setpgid(2), exit(2) and
// PR_SET_CHILD_SUBREAPER. Process 1 waits for whoever comes to it.
type kernel struct {
	procs map[int32]*proc
	objs  uint64
	last  int32
}

func newKernel() *kernel {
	k := &kernel{procs: map[int32]*proc{}, last: 1}
	k.procs[1] = &proc{pid: 1, sid: 1, pgid: 1}
	k.fresh(k.procs[1], 0)
	return k
}

// fresh gives a process objects of its own, but for those that flags share.
func (k *kernel) fresh(p *proc, flags uint64) {
	for kind := range p.objs {
		if flags&kindFlags[kind] == 0 {
			k.objs++
			p.objs[kind] = k.objs
		}
	}
}

// used tells whether a number is a pid, a session's or a group's.
func (k *kernel) used(pid int32) bool {
	if k.procs[pid] != nil {
		return true
	}
	for _, p := range k.procs {
		if p.sid == pid || p.pgid == pid {
			return true
		}
	}
	return false
}

// free is a pid that nobody has.
func (k *kernel) free(most int32) int32 {
	for {
		if k.last++; k.last > most {
			k.last = 2
		}
		if !k.used(k.last) {
			return k.last
		}
	}
}

func (k *kernel) fork(from, pid int32, flags uint64, exit uint32) (*proc, error) {
	p := k.procs[from]
	switch {
	case p == nil || p.zombie:
		return nil, fmt.Errorf("fork by %d, which does not run", from)
	case k.used(pid):
		return nil, fmt.Errorf("fork of %d: EEXIST", pid)
	case flags&unix.CLONE_SIGHAND != 0 && flags&unix.CLONE_VM == 0:
		return nil, fmt.Errorf("fork of %d: EINVAL", pid)
	}
	c := &proc{pid: pid, parent: p.pid, sid: p.sid, pgid: p.pgid, exit: exit, objs: p.objs}
	if flags&unix.CLONE_PARENT != 0 {
		c.parent, c.exit = p.parent, p.exit
	}
	k.fresh(c, flags)
	k.procs[pid] = c
	k.procs[c.parent].kids = append(k.procs[c.parent].kids, c)
	return c, nil
}

func (k *kernel) hasGroup(pgid int32) (sid int32, ok bool) {
	for _, p := range k.procs {
		if p.pgid == pgid {
			return p.sid, true
		}
	}
	return 0, false
}

func (k *kernel) setsid(pid int32) error {
	p := k.procs[pid]
	if p == nil || p.zombie {
		return fmt.Errorf("setsid of %d, which does not run", pid)
	}
	if _, ok := k.hasGroup(pid); ok || p.sid == pid {
		return fmt.Errorf("setsid of %d: EPERM", pid)
	}
	p.sid, p.pgid = pid, pid
	return nil
}

func (k *kernel) setpgid(pid, pgid int32) error {
	p := k.procs[pid]
	if p == nil || p.zombie {
		return fmt.Errorf("setpgid of %d, which does not run", pid)
	}
	if p.sid == pid {
		return fmt.Errorf("setpgid of %d, a session leader: EPERM", pid)
	}
	if pgid != pid {
		if sid, ok := k.hasGroup(pgid); !ok || sid != p.sid {
			return fmt.Errorf("setpgid of %d to %d: EPERM", pid, pgid)
		}
	}
	p.pgid = pgid
	return nil
}

func (k *kernel) end(pid int32, status uint32) error {
	p := k.procs[pid]
	if p == nil || p.zombie || pid == 1 {
		return fmt.Errorf("exit of %d, which does not run", pid)
	}
	p.zombie, p.status, p.objs = true, status, [kinds]uint64{}
	to := k.procs[p.parent]
	for to.pid != 1 && (!to.reaper || to.zombie) {
		to = k.procs[to.parent]
	}
	for _, c := range p.kids {
		c.parent, c.exit = to.pid, uint32(unix.SIGCHLD)
		to.kids = append(to.kids, c)
	}
	p.kids = nil
	k.reapOrphans()
	return nil
}

// reapOrphans is what process 1 does.
func (k *kernel) reapOrphans() {
	for _, c := range append([]*proc(nil), k.procs[1].kids...) {
		if c.zombie {
			_ = k.wait(1, c.pid)
		}
	}
}

func (k *kernel) wait(parent, pid int32) error {
	p := k.procs[pid]
	if p == nil || !p.zombie || p.parent != parent {
		return fmt.Errorf("%d waits for %d, which is no zombie of its", parent, pid)
	}
	delete(k.procs, pid)
	up := k.procs[parent]
	for i, c := range up.kids {
		if c == p {
			up.kids = append(up.kids[:i], up.kids[i+1:]...)
			break
		}
	}
	return nil
}

// carryOut makes a tree below a caller, a child of process 1 in a session and
// group of its own. Helpers without a pid get one that is above all.
func (k *kernel) carryOut(steps []Step, caller *proc) error {
	helper := func(pid int32) int32 {
		switch {
		case pid == 0:
			return caller.pid
		case pid < 0:
			return 1<<20 - pid
		}
		return pid
	}
	for i, s := range steps {
		var err error
		task, child := helper(s.Task), helper(s.Child)
		switch s.Kind {
		case Fork:
			flags := s.Flags
			if s.Task == 0 { // it is the first puppet that forks
				if flags&unix.CLONE_PARENT == 0 {
					return fmt.Errorf("step %d: %+v without CLONE_PARENT", i, s)
				}
				flags &^= unix.CLONE_PARENT
				s.ExitSignal = uint32(unix.SIGCHLD)
			} else if flags&unix.CLONE_PARENT != 0 && s.ExitSignal != 0 {
				return fmt.Errorf("step %d: %+v: EINVAL", i, s)
			}
			_, err = k.fork(task, child, flags, s.ExitSignal)
		case Setsid:
			err = k.setsid(task)
		case Setpgid:
			pgid := s.Pgid
			if pgid == OuterGroup {
				pgid = caller.pgid
			}
			err = k.setpgid(task, pgid)
		case Leave:
			all := kindFlags[kindMM] | kindFlags[kindFiles] | kindFlags[kindFS] | kindFlags[kindSighand]
			if s.Flags&^(unix.CLONE_FILES|unix.CLONE_FS) != 0 {
				return fmt.Errorf("step %d: %+v: EINVAL", i, s)
			}
			k.fresh(k.procs[task], all&^s.Flags)
		case Adopt:
			k.procs[task].reaper = s.On
		case Bury:
			if err = k.end(child, 0); err == nil {
				err = k.wait(task, child)
			}
		}
		if err != nil {
			return fmt.Errorf("step %d, %+v: %w", i, s, err)
		}
	}
	return nil
}
