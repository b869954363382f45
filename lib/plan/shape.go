package plan

import (
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/record"
)

// anySession says that a task does not care which session it is born into.
const anySession = -2

// noSession and noGroup are what no task is in. 0 is a session or a group from
// outside of the pid namespace, where it has no number.
const noSession, noGroup = -1, -1

// What tasks may share.
const (
	kindMM = iota
	kindFiles
	kindFS
	kindSighand
	kinds
)

var kindNames = [kinds]string{"memory", "descriptors", "working directory", "signal handlers"}

var kindFlags = [kinds]uint64{unix.CLONE_VM, unix.CLONE_FILES, unix.CLONE_FS, unix.CLONE_SIGHAND}

// node is a task that will be made: one of the image, or a helper.
type node struct {
	task      *record.Task // nil: the caller, or a helper
	pid       int32
	parent    int // its index; the caller is its own
	sid, pgid int32
	leader    bool  // it starts its session
	birth     int32 // the session that it is born into
	exit      uint32
	objs      [kinds]uint64 // what it shares with other tasks; 0: what is its own
	leave     uint64        // CLONE_* of what it must leave in the end
	maker     int           // that forks it
	depth     int
	in, out   int // of its subtree in a walk that has parents first
}

// shape is a tree in the making: nodes[0] is the caller, nodes[1] the root.
type shape struct {
	nodes    []node
	byPID    map[int32]int
	sessions map[int32]*session
	order    []*session // as the tasks name them
	sorted   []int32    // of the events

	way    int  // of ordering those who share
	budget *int // of nodes to look at

	outerGroup int32
	ghosts     int // index of the first node that is a helper
	helpers    int32
	steps      []Step
}

// newShape makes the nodes and checks that they are a tree: what comes from an
// image may be anything.
func newShape(tasks []*record.Task, who Caller) (*shape, error) {
	if len(tasks) == 0 {
		return nil, fmt.Errorf("the image has no tasks")
	}
	p := &shape{nodes: make([]node, 1, len(tasks)+1), byPID: make(map[int32]int, len(tasks)), sessions: map[int32]*session{}, outerGroup: noGroup}
	p.nodes[0].sid = noSession
	for i, t := range tasks {
		n := node{task: t, pid: t.Pid, sid: t.Sid, pgid: t.Pgid, leader: t.Sid == t.Pid, birth: t.Sid, exit: t.ExitSignal}
		if n.leader {
			n.birth = anySession
		}
		if i == 0 {
			n.exit = uint32(unix.SIGCHLD) // the first puppet's, whoever was told before
		} else {
			at, ok := p.byPID[t.Ppid]
			if !ok {
				return nil, taskf(t, "comes before its parent %d", t.Ppid)
			}
			if n.parent = at; tasks[at-1].State == record.Task_ZOMBIE {
				return nil, taskf(t, "is a child of task %d, which is a zombie: a zombie has no children", t.Ppid)
			}
		}
		if _, twice := p.byPID[t.Pid]; twice || t.Pid <= 0 {
			return nil, taskf(t, "is there twice, or can't be")
		}
		n.depth = p.nodes[n.parent].depth + 1
		p.byPID[t.Pid] = len(p.nodes)
		p.nodes = append(p.nodes, n)
	}
	p.ghosts = len(p.nodes)
	p.walk()
	p.share()
	return p, p.findSessions(who)
}

// walk numbers the nodes so that a subtree is a range.
func (p *shape) walk() {
	size := make([]int, len(p.nodes))
	for i := len(p.nodes) - 1; i >= 0; i-- {
		size[i]++
		if i > 0 {
			size[p.nodes[i].parent] += size[i]
		}
	}
	next := make([]int, len(p.nodes)) // where a node's next child begins
	for i := range p.nodes {
		n := &p.nodes[i]
		if i > 0 {
			n.in = next[n.parent]
			next[n.parent] += size[i]
		}
		n.out, next[i] = n.in+size[i], n.in+1
	}
}

// above tells whether a is b or an ancestor of it.
func (p *shape) above(a, b int) bool {
	return p.nodes[a].in <= p.nodes[b].in && p.nodes[b].in < p.nodes[a].out
}

// share gives the nodes what they share with others. A zombie has nothing.
func (p *shape) share() {
	var holders [kinds]map[uint64]int
	for k := range holders {
		holders[k] = map[uint64]int{}
	}
	for pass := range 2 {
		for i := range p.nodes[1:] {
			n := &p.nodes[i+1]
			if n.task.State == record.Task_ZOMBIE {
				continue
			}
			for k, id := range [kinds]uint64{n.task.MmId, n.task.FilesId, n.task.FsId, n.task.SighandId} {
				if pass == 0 {
					holders[k][id]++
				} else if id != 0 && holders[k][id] > 1 {
					n.objs[k] = id
				}
			}
		}
	}
}

// sharesWith tells whether two nodes share anything.
func (n *node) sharesWith(m *node) bool {
	for k, id := range n.objs {
		if id != 0 && id == m.objs[k] {
			return true
		}
	}
	return false
}

// checkShape finds what no kernel has.
func (p *shape) checkShape() error {
	groups := map[int32]int32{} // process group to session
	for i := range p.nodes[1:] {
		n := &p.nodes[i+1]
		t := n.task
		leader, inside := p.byPID[t.Pgid]
		s, known := groups[t.Pgid]
		switch {
		case n.leader && t.Pgid != t.Pid:
			return taskf(t, "leads session %d, and is in process group %d: no session leader leaves its group", t.Sid, t.Pgid)
		case known && s != t.Sid:
			return taskf(t, "is in process group %d in session %d, others are in session %d: a process group is in one session", t.Pgid, t.Sid, s)
		case inside && p.nodes[leader].sid != t.Sid:
			return taskf(t, "is in process group %d, whose leader is in another session", t.Pgid)
		case !inside && p.sessions[t.Pgid] != nil && t.Pgid != t.Sid:
			return taskf(t, "is in process group %d, which is a session's, and in session %d", t.Pgid, t.Sid)
		}
		groups[t.Pgid] = t.Sid
		if err := CheckZombie(t); err != nil {
			return fmt.Errorf("task %d (%s): %w", t.Pid, t.Comm, err)
		}
	}
	for i := range p.nodes[1:] {
		t := p.nodes[i+1].task
		for _, tid := range t.Tids {
			_, isTask := p.byPID[tid]
			_, isGroup := groups[tid]
			if tid != t.Pid && (isTask || isGroup || p.sessions[tid] != nil) {
				return taskf(t, "has a thread %d, which is another task, a session or a process group", tid)
			}
		}
	}
	return nil
}
