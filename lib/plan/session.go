package plan

import (
	"sort"

	"golang.org/x/sys/unix"
)

// session is one that tasks of the tree are in, or were when they were born.
//
// A task that is in a session, and does not lead it, has been forked by one that
// was in it too, down from the leader. So its parent, when that was never in the
// session itself, has adopted it: it was above the leader when that started the
// session.
type session struct {
	id     int32
	leader int  // 0: the caller's session; -1: it is gone, and its helper not yet there
	at     int  // the lowest task that is above the leader; -1: not yet known
	real   bool // the leader is a task of the image
	born   []int
}

const unplaced = -1

// adopted is the exit signal of whoever has lost a parent.
const adopted = uint32(unix.SIGCHLD)

// findSessions lists the sessions, and finds the one and the group that lead out
// of the tree.
func (p *shape) findSessions(who Caller) error {
	for i := range p.nodes[1:] {
		t := p.nodes[i+1].task
		if p.sessions[t.Sid] == nil {
			s := &session{id: t.Sid, leader: -1, at: unplaced}
			if at, ok := p.byPID[t.Sid]; ok {
				if l := &p.nodes[at]; !l.leader {
					return taskf(t, "is in session %d, whose leader is in session %d", t.Sid, l.sid)
				}
				s.leader, s.real, s.at = at, true, p.nodes[at].parent
			}
			p.sessions[t.Sid], p.order = s, append(p.order, s)
		}
		s := p.sessions[t.Sid]
		if s.real || t.SessionGone && t.Sid != who.Session || s.leader == 0 {
			continue
		}
		if p.nodes[0].sid != noSession {
			return taskf(t, "is in session %d, and other tasks in session %d: both lead out of the tree, and the tree has one place to go", t.Sid, p.nodes[0].sid)
		}
		s.leader, s.at, p.nodes[0].sid = 0, 0, s.id
	}
	return p.findOuterGroup(who)
}

func (p *shape) findOuterGroup(who Caller) error {
	for i := range p.nodes[1:] {
		t := p.nodes[i+1].task
		if _, inside := p.byPID[t.Pgid]; inside || t.Sid != p.nodes[0].sid || t.GroupGone && t.Pgid != who.Group {
			continue
		}
		if p.outerGroup != noGroup && p.outerGroup != t.Pgid {
			return taskf(t, "is in process group %d, and other tasks in process group %d: both lead out of the tree, and the tree has one place to go", t.Pgid, p.outerGroup)
		}
		p.outerGroup = t.Pgid
	}
	return nil
}

// isIn tells whether a node can be in a session when it forks.
func (p *shape) isIn(i int, s *session) bool {
	return p.nodes[i].sid == s.id || p.nodes[i].leader && p.nodes[i].birth == s.id
}

// placeSessions finds for each session whose leader is gone the place where that
// was, and for each task that leads a session the one that it was born into,
// where that matters.
func (p *shape) placeSessions() error {
	tops := map[*session][]int{} // tasks whose parent isn't in their session
	for i := range p.nodes[1:] {
		i++
		if n := &p.nodes[i]; !n.leader {
			if s := p.sessions[n.sid]; !p.isIn(n.parent, s) {
				tops[s] = append(tops[s], i)
			}
		}
	}
	for _, s := range p.order {
		var err error
		if tops[s], err = p.bearLow(s, tops[s]); err != nil {
			return err
		}
	}
	for _, s := range p.order {
		if s.leader >= 0 {
			continue
		}
		rest, err := p.bearLow(s, p.bearOwn(s, tops[s]))
		if err != nil {
			return err
		}
		p.placeGone(s, rest)
		for _, i := range rest {
			if err := p.bear(i, s); err != nil {
				return err
			}
		}
	}
	p.addLeaders()
	return nil
}

// bearLow has those tasks born whose parents have no choice, and returns the
// others. A leader that is gone was above all who are in its session, so below
// none of them.
func (p *shape) bearLow(s *session, tops []int) (rest []int, _ error) {
	under := p.spans(s, tops)
	for _, i := range tops {
		if s.leader < 0 && !under.has(p.nodes[p.nodes[i].parent].in) {
			rest = append(rest, i)
		} else if err := p.bear(i, s); err != nil {
			return nil, err
		}
	}
	return rest, nil
}

// bear has a task born into a session: by its parent, if that was in it before
// it started its own; or else adopted by the parent, if that was above the
// leader.
func (p *shape) bear(i int, s *session) error {
	for x := i; ; {
		at := p.nodes[x].parent
		n := &p.nodes[at]
		switch {
		case p.isIn(at, s):
			return nil
		case s.at != unplaced && p.above(at, s.at):
			s.born = append(s.born, x)
			return nil
		case n.leader && n.birth == anySession:
			n.birth, x = s.id, at
		default:
			return taskf(p.nodes[i].task, "is in session %d, which none that is above it can have been in: %w", s.id, errOrder)
		}
	}
}

// bearOwn has the parents of tasks that they must have forked themselves born
// into a session whose leader is gone, where they can be: tasks that share with
// them, or have a special exit signal, which adoption changes.
func (p *shape) bearOwn(s *session, tops []int) []int {
	list := tops[:0]
	for _, i := range tops {
		for i != 0 && !p.isIn(p.nodes[i].parent, s) {
			n := &p.nodes[p.nodes[i].parent]
			if p.nodes[i].exit == adopted && !p.nodes[i].sharesWith(n) || !n.leader || n.birth != anySession {
				list = append(list, i)
				break
			}
			n.birth, i = s.id, p.nodes[i].parent
		}
	}
	return list
}

// placeGone chooses the place of a leader that is gone: below all parents of its
// tasks that can't have been in the session themselves.
func (p *shape) placeGone(s *session, tops []int) {
	deepest := func(must bool) {
		for _, i := range tops {
			at := p.nodes[i].parent
			n := &p.nodes[at]
			could := n.leader && (n.birth == anySession || n.birth == s.id)
			if must == !could && (s.at == unplaced || n.depth > p.nodes[s.at].depth) {
				s.at = at
			}
		}
	}
	if deepest(true); s.at == unplaced {
		deepest(false)
	}
	if s.at == unplaced {
		s.at = 0 // nobody is in it any more but its leader's children
	}
}

// addLeaders makes nodes for the leaders that are gone.
func (p *shape) addLeaders() {
	for _, s := range p.order {
		if s.leader >= 0 {
			continue
		}
		s.leader = len(p.nodes)
		p.nodes = append(p.nodes, node{pid: s.id, parent: s.at, sid: s.id, pgid: s.id, leader: true, birth: anySession, depth: p.nodes[s.at].depth + 1})
	}
}

// spans are ranges of node.in.
type spans [][2]int

// spans lists the subtrees of the outermost tasks of a session.
func (p *shape) spans(s *session, tops []int) spans {
	if s.leader >= 0 {
		return nil
	}
	var list spans
	for _, i := range tops {
		list = append(list, [2]int{p.nodes[i].in, p.nodes[i].out})
	}
	sort.Slice(list, func(a, b int) bool { return list[a][0] < list[b][0] })
	outer := list[:0]
	for _, r := range list {
		if len(outer) == 0 || r[0] >= outer[len(outer)-1][1] {
			outer = append(outer, r)
		}
	}
	return outer
}

func (l spans) has(in int) bool {
	i := sort.Search(len(l), func(i int) bool { return l[i][1] > in })
	return i < len(l) && l[i][0] <= in
}
