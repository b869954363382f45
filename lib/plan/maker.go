package plan

import (
	"cmp"
	"math/bits"
	"slices"

	"golang.org/x/sys/unix"

	"floe/lib/record"
)

// mostLent bounds how often the makers are chosen anew.
const mostLent = 64

// chooseMakers finds for each node the one that forks it. Where nobody can that
// has what a task shares, its maker has had it once, and it is chosen again.
func (p *shape) chooseMakers() error {
	for try := 0; ; try++ {
		p.defaultMakers()
		need, from, err := p.chooseSharers()
		if err == nil {
			var i int
			if i, need, from = p.stuck(); i == 0 {
				return nil
			}
			err = p.cycle(i)
		}
		if try == mostLent || !p.lend(need, from) {
			return err
		}
	}
}

// defaultMakers are the parents of the nodes, if they can be; else one in the
// same session that is below the parent, the leader at first and then a sibling.
func (p *shape) defaultMakers() {
	first := map[[2]int]int{} // parent and session's leader to the first that was adopted
	for i := 1; i < len(p.nodes); i++ {
		n := &p.nodes[i]
		n.maker = n.parent
		if i >= p.ghosts {
			n.exit = p.ghostExit(p.sessions[n.sid])
		}
		if n.birth == anySession || p.isIn(n.parent, p.sessions[n.birth]) {
			continue
		}
		n.maker = p.sessions[n.birth].leader
		key := [2]int{n.parent, n.maker}
		if f, ok := first[key]; ok && p.nodes[n.maker].parent != n.parent {
			n.maker = f
		} else {
			first[key] = i
		}
	}
}

// ghostExit is the exit signal of a leader that is gone: what it forks with
// CLONE_PARENT gets the same.
func (p *shape) ghostExit(s *session) uint32 {
	for _, i := range s.born {
		if n := &p.nodes[i]; n.parent == s.at && s.at != 0 && n.exit != adopted && !loud[n.exit] {
			return n.exit
		}
	}
	return adopted
}

// object is what tasks share: one of a kind.
type object struct {
	kind int
	id   uint64
}

// sharers has, for each object, the tasks that have it, in an order in which
// they can be made: the lowest first, then those with the most to share.
type sharers struct {
	members map[object][]int
	rank    map[object]map[int]int // of those whose parent does not have it
	top     [kinds][]int           // of each node, who of its ancestors and itself is such a one
}

func (p *shape) findSharers() *sharers {
	s := &sharers{members: map[object][]int{}, rank: map[object]map[int]int{}}
	for k := range kinds {
		s.top[k] = make([]int, len(p.nodes))
		for i := range p.nodes {
			n := &p.nodes[i]
			if n.objs[k] == 0 {
				continue
			}
			o := object{k, n.objs[k]}
			s.top[k][i] = i
			if up := n.parent; p.nodes[up].objs[k] == n.objs[k] {
				s.top[k][i] = s.top[k][up]
			}
			s.members[o] = append(s.members[o], i)
		}
	}
	for o, list := range s.members {
		s.rank[o] = map[int]int{}
		var tops []int
		for _, i := range list {
			if s.top[o.kind][i] == i {
				tops = append(tops, i)
			}
		}
		p.sortSharers(tops)
		for r, i := range tops {
			s.rank[o][i] = r
		}
		slices.SortStableFunc(list, func(a, b int) int { return cmp.Compare(s.of(o, a), s.of(o, b)) })
	}
	return s
}

// of is the rank of the task that i has an object from, by its ancestors.
func (s *sharers) of(o object, i int) int { return s.rank[o][s.top[o.kind][i]] }

// sortSharers orders tasks that share: who comes first is made first. A session's leader
// forks who is in it.
func (p *shape) sortSharers(tops []int) {
	most := map[int32]int{} // by session
	for _, i := range tops {
		n := &p.nodes[i]
		most[n.sid] = max(most[n.sid], n.shares())
	}
	shares := func(n *node) int {
		if n.leader {
			return most[n.sid]
		}
		return n.shares()
	}
	slices.SortFunc(tops, func(a, b int) int {
		x, y := &p.nodes[a], &p.nodes[b]
		return cmp.Or(cmp.Compare(p.nodes[y.parent].depth, p.nodes[x.parent].depth), cmp.Compare(shares(y), shares(x)),
			cmp.Compare(p.sessions[x.sid].leader, p.sessions[y.sid].leader), -cmp.Compare(leads(x), leads(y)), cmp.Compare(a, b))
	})
}

func leads(n *node) int {
	if n.leader {
		return 1
	}
	return 0
}

// shares counts the kinds of object that a task shares with others.
func (n *node) shares() int {
	var set uint
	for k, id := range n.objs {
		if id != 0 {
			set |= 1 << k
		}
	}
	return bits.OnesCount(set)
}

// chooseSharers finds another maker for whoever shares what its maker lacks. If
// there is none, it tells what is needed, and who should have it.
func (p *shape) chooseSharers() (need [kinds]uint64, from int, _ error) {
	s := p.findSharers()
	for i := 1; i < len(p.nodes); i++ {
		need = p.nodes[i].objs
		any := false
		for k, id := range need {
			if id == 0 || s.first(object{k, id}) == i {
				need[k] = 0
			} else {
				any = true
			}
		}
		if from := p.nodes[i].maker; any && !p.has(from, need) && !p.findMaker(s, i, need) {
			need, from = p.lender(s, i, need)
			return need, from, p.cantShare(s, i, need)
		}
	}
	return need, 0, nil
}

// lender tells who should have what i needs and can't get: its maker, or, if the
// one that is made first is below i, the parent of that.
func (p *shape) lender(s *sharers, i int, need [kinds]uint64) ([kinds]uint64, int) {
	for k, id := range need {
		if id == 0 {
			continue
		}
		if low := s.first(object{k, id}); low != i && p.above(i, low) {
			one := [kinds]uint64{}
			one[k] = id
			return one, p.nodes[low].parent
		}
	}
	return need, p.nodes[i].maker
}

// lend gives a node what others share, for as long as forks go on: one that
// will end, or that then leaves it by unshare(2). It tells whether that helps.
func (p *shape) lend(need [kinds]uint64, from int) (lent bool) {
	m := &p.nodes[from]
	for k, id := range need {
		if id == 0 || m.objs[k] == id {
			continue
		}
		dead := m.task == nil || m.task.State == record.Task_ZOMBIE
		if from == 0 || m.objs[k] != 0 || !dead && k != kindFiles && k != kindFS {
			return false
		}
		if m.objs[k], lent = id, true; !dead {
			m.leave |= kindFlags[k]
		}
	}
	return lent
}

// first is the task that is the first to have an object.
func (s *sharers) first(o object) int { return s.members[o][0] }

// has tells whether a node has all the objects of need.
func (p *shape) has(i int, need [kinds]uint64) bool {
	for k, id := range need {
		if id != 0 && p.nodes[i].objs[k] != id {
			return false
		}
	}
	return true
}

// mostTried bounds how many tasks are looked at for one that can make another.
const mostTried = 64

// findMaker finds a task that has what i needs, and is made before: among those
// with what the fewest have.
func (p *shape) findMaker(s *sharers, i int, need [kinds]uint64) bool {
	var o object
	for k, id := range need {
		if x := (object{k, id}); id != 0 && (o.id == 0 || len(s.members[x]) < len(s.members[o])) {
			o = x
		}
	}
	n := &p.nodes[i]
	for tried, y := range s.members[o] {
		if s.of(o, y) > s.of(o, i) || tried > mostTried {
			break // those from here on come later
		}
		if s.of(o, y) == s.of(o, i) && y >= i && p.nodes[y].maker != p.nodes[y].parent {
			continue // it may come later
		}
		if y != i && !p.above(i, y) && p.above(n.parent, y) && p.has(y, need) && p.canFork(y, n) {
			n.maker = y
			return true
		}
	}
	return false
}

// canFork tells whether y can fork n into the session that n is born into.
func (p *shape) canFork(y int, n *node) bool {
	m := &p.nodes[y]
	if n.birth == anySession || m.sid == n.birth || m.leader && m.birth == n.birth {
		return true
	}
	if m.leader && m.birth == anySession && m.maker == m.parent && p.isIn(m.parent, p.sessions[n.birth]) {
		m.birth = n.birth
		return true
	}
	return false
}

func (p *shape) cantShare(s *sharers, i int, need [kinds]uint64) error {
	for k, id := range need {
		if id != 0 {
			other := s.first(object{k, id})
			return taskf(p.known(i), "shares its %s with task %d, and no order of forks gives that", kindNames[k], p.nodes[other].pid)
		}
	}
	return nil
}

// cloneFlags are those for what a task shares with its maker.
func (p *shape) cloneFlags(maker, i int) (flags uint64, err error) {
	m, n := &p.nodes[maker], &p.nodes[i]
	for k, id := range n.objs {
		if id != 0 && m.objs[k] == id {
			flags |= kindFlags[k]
		}
	}
	if flags&unix.CLONE_SIGHAND != 0 && flags&unix.CLONE_VM == 0 {
		return 0, taskf(p.known(i), "shares its signal handlers with task %d but not its memory: the kernel can't make that", m.pid)
	}
	return flags, nil
}
