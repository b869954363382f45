package plan

import (
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/record"
)

// StepKind is what a Step of the making of a tree does.
type StepKind int

// Kinds of Step.
const (
	Fork    StepKind = iota // Task makes Child; Task 0: the first puppet makes the root
	Setsid                  // Task starts its session
	Setpgid                 // Task joins the process group Pgid
	Bury                    // Task's Child, made to lead a group whose leader was gone, ends
)

// Step is one step of the making of a tree. Tasks are pids.
type Step struct {
	Kind  StepKind
	Task  int32
	Child *record.Task // Fork
	Flags uint64       // Fork: CLONE_* for what the two share
	Pgid  int32        // Setpgid
}

// anySession says that a task does not care which session it is born into.
const anySession = 0

type treePlan struct {
	tasks    map[int32]*record.Task
	children map[int32][]*record.Task
	outside  int32 // the session of the caller, as the image numbers it
	birth    map[int32]int32
	steps    []Step
}

// Tree plans the making of all processes: parents first, each born into the
// session that it was born into, with the sharing that it had. Sessions and
// groups that lead out of the tree become the caller's. An image whose shape
// can't be made this way is an error that names the task.
func Tree(tasks []*record.Task) ([]Step, error) {
	if len(tasks) == 0 {
		return nil, fmt.Errorf("the image has no tasks")
	}
	root := tasks[0]
	p := &treePlan{tasks: map[int32]*record.Task{}, children: map[int32][]*record.Task{}, birth: map[int32]int32{}}
	for i, t := range tasks {
		p.tasks[t.Pid] = t
		if i > 0 {
			p.children[t.Ppid] = append(p.children[t.Ppid], t)
		}
	}
	p.outside = -1
	if root.Sid != root.Pid {
		p.outside = root.Sid
	}
	if _, err := p.need(root); err != nil {
		return nil, err
	}
	if b := p.birth[root.Pid]; b != anySession && b != p.outside {
		return nil, fmt.Errorf("task %d is in session %d, whose leader is not in the tree", root.Pid, b)
	}
	if err := p.fork(nil, root, p.outside); err != nil {
		return nil, err
	}
	return p.steps, p.groups(tasks)
}

// need works out the session that t must be born into.
func (p *treePlan) need(t *record.Task) (int32, error) {
	want := t.Sid
	if t.Sid == t.Pid {
		want = anySession
	}
	for _, c := range p.children[t.Pid] {
		n, err := p.need(c)
		if err != nil {
			return 0, err
		}
		switch {
		case n == anySession || n == t.Sid:
		case want == anySession || want == n:
			want = n // born before t started its own session
		default:
			return 0, fmt.Errorf("task %d: its children are in sessions %d and %d, which it can't both have been in", t.Pid, want, n)
		}
	}
	p.birth[t.Pid] = want
	return want, nil
}

// fork plans the birth of t from parent into session sid, then its children.
func (p *treePlan) fork(parent, t *record.Task, sid int32) error {
	if b := p.birth[t.Pid]; b != anySession && b != sid {
		return fmt.Errorf("task %d (%s) is in session %d, whose leader is gone or no ancestor of it: such a tree can't be restored yet", t.Pid, t.Comm, b)
	}
	step := Step{Kind: Fork, Child: t}
	if parent != nil {
		flags, err := shared(parent, t)
		if err != nil {
			return err
		}
		step.Task, step.Flags = parent.Pid, flags
	}
	p.steps = append(p.steps, step)
	leader := t.Sid == t.Pid
	if leader {
		for _, c := range p.children[t.Pid] {
			if b := p.birth[c.Pid]; b != anySession && b != t.Sid {
				if err := p.fork(t, c, sid); err != nil {
					return err
				}
			}
		}
		p.steps = append(p.steps, Step{Kind: Setsid, Task: t.Pid})
	}
	for _, c := range p.children[t.Pid] {
		if b := p.birth[c.Pid]; leader && b != anySession && b != t.Sid {
			continue
		}
		if err := p.fork(t, c, t.Sid); err != nil {
			return err
		}
	}
	return nil
}

// shared gives the clone flags for what a child shares with its parent.
func shared(parent, child *record.Task) (uint64, error) {
	var flags uint64
	if child.State == record.Task_ZOMBIE {
		return 0, nil
	}
	for _, s := range []struct {
		same bool
		flag uint64
	}{
		{parent.MmId == child.MmId, unix.CLONE_VM},
		{parent.FilesId == child.FilesId, unix.CLONE_FILES},
		{parent.FsId == child.FsId, unix.CLONE_FS},
		{parent.SighandId == child.SighandId, unix.CLONE_SIGHAND},
	} {
		if s.same {
			flags |= s.flag
		}
	}
	if flags&unix.CLONE_SIGHAND != 0 && flags&unix.CLONE_VM == 0 {
		return 0, fmt.Errorf("task %d shares its signal handlers with task %d but not its memory: the kernel can't make that", child.Pid, parent.Pid)
	}
	return flags, nil
}

// groups plans the process groups: leaders first.
func (p *treePlan) groups(tasks []*record.Task) error {
	var joins []Step
	ghosts := map[int32]*record.Task{}
	root := tasks[0]
	for _, t := range tasks {
		leader, inside := p.tasks[t.Pgid]
		switch {
		case t.Sid == t.Pid: // setsid made its group
		case t.Pgid == t.Pid:
			p.steps = append(p.steps, Step{Kind: Setpgid, Task: t.Pid, Pgid: t.Pid})
		case inside && leader.Sid == t.Sid:
			joins = append(joins, Step{Kind: Setpgid, Task: t.Pid, Pgid: t.Pgid})
		case t.Pgid == root.Pgid && root.Pgid != root.Pid && t.Sid == p.outside:
			// The caller's group, inherited by way of the root.
			if p.bornInOuterGroup(t) {
				continue
			}
			return fmt.Errorf("task %d (%s) is in process group %d, outside the tree, which its parent has left: such a tree can't be restored yet", t.Pid, t.Comm, t.Pgid)
		case inside:
			return fmt.Errorf("task %d (%s) is in process group %d, whose leader is in another session: such a tree can't be restored yet", t.Pid, t.Comm, t.Pgid)
		default:
			p.ghost(t, ghosts)
			joins = append(joins, Step{Kind: Setpgid, Task: t.Pid, Pgid: t.Pgid})
		}
	}
	p.steps = append(p.steps, joins...)
	for _, t := range tasks { // in order
		if g := ghosts[t.Pgid]; g != nil {
			p.steps = append(p.steps, Step{Kind: Bury, Task: g.Ppid, Child: g})
			delete(ghosts, t.Pgid)
		}
	}
	return nil
}

// ghost plans a short-lived leader for the group of t, a child of t.
func (p *treePlan) ghost(t *record.Task, ghosts map[int32]*record.Task) {
	if ghosts[t.Pgid] != nil {
		return
	}
	g := &record.Task{Pid: t.Pgid, Ppid: t.Pid, Pgid: t.Pgid, Sid: t.Sid, State: record.Task_ZOMBIE, Comm: "leader of a group"}
	ghosts[t.Pgid] = g
	p.steps = append(p.steps, Step{Kind: Fork, Task: t.Pid, Child: g}, Step{Kind: Setpgid, Task: g.Pid, Pgid: g.Pid})
}

// bornInOuterGroup tells whether t inherits the caller's process group: all
// groups are set after all forks, so every task born in the caller's session
// does.
func (p *treePlan) bornInOuterGroup(t *record.Task) bool {
	for a := t; a != nil; a = p.tasks[a.Ppid] {
		if a.Sid != p.outside {
			return false
		}
	}
	return true
}

// Sharing tells, for each kind of shared object, which task restores it: the
// first that has it.
type Sharing struct {
	mm, files, fs, sighand map[uint64]int32
}

// NewSharing looks through the tasks in order.
func NewSharing(tasks []*record.Task) (*Sharing, error) {
	s := &Sharing{map[uint64]int32{}, map[uint64]int32{}, map[uint64]int32{}, map[uint64]int32{}}
	by := map[int32]*record.Task{}
	for _, t := range tasks {
		by[t.Pid] = t
		if t.State == record.Task_ZOMBIE {
			continue
		}
		for _, o := range []struct {
			m    map[uint64]int32
			id   func(*record.Task) uint64
			what string
		}{
			{s.mm, (*record.Task).GetMmId, "memory"},
			{s.files, (*record.Task).GetFilesId, "descriptors"},
			{s.fs, (*record.Task).GetFsId, "working directory"},
			{s.sighand, (*record.Task).GetSighandId, "signal handlers"},
		} {
			first, seen := o.m[o.id(t)]
			parent := by[t.Ppid]
			switch {
			case !seen:
				o.m[o.id(t)] = t.Pid
			case parent == nil || o.id(parent) != o.id(t):
				return nil, fmt.Errorf("task %d (%s) shares its %s with task %d, which is not its parent: such a tree can't be restored yet", t.Pid, t.Comm, o.what, first)
			}
		}
	}
	return s, nil
}

// OwnsMM and the others tell whether t is the task to restore its own.
func (s *Sharing) OwnsMM(t *record.Task) bool      { return s.mm[t.MmId] == t.Pid }
func (s *Sharing) OwnsFiles(t *record.Task) bool   { return s.files[t.FilesId] == t.Pid }
func (s *Sharing) OwnsFS(t *record.Task) bool      { return s.fs[t.FsId] == t.Pid }
func (s *Sharing) OwnsSighand(t *record.Task) bool { return s.sighand[t.SighandId] == t.Pid }
