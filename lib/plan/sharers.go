package plan

import (
	"cmp"
	"slices"

	"floe/lib/record"
)

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
	tops := map[object][]int{}
	weight := make([]int, len(p.nodes))
	for o, list := range s.members {
		for _, i := range list {
			if s.top[o.kind][i] == i {
				tops[o] = append(tops[o], i)
			} else {
				weight[i] += kinds + 1 // it comes from its parent, mostly
			}
		}
		for _, i := range tops[o] {
			weight[i] += min(len(tops[o])-1, 1)
		}
	}
	for o, list := range s.members {
		p.sortSharers(tops[o], weight)
		s.rank[o] = make(map[int]int, len(tops[o]))
		for r, i := range tops[o] {
			s.rank[o][i] = r
		}
		slices.SortStableFunc(list, func(a, b int) int { return cmp.Compare(s.of(o, a), s.of(o, b)) })
	}
	return s
}

// of is the rank of the task that i has an object from, by its ancestors.
func (s *sharers) of(o object, i int) int { return s.rank[o][s.top[o.kind][i]] }

// sortSharers orders tasks that share one object: who comes first is made first.
// Those with the most to share, by weight, leave the others the most freedom. A
// leader forks who is in its session, or else may come from any other.
func (p *shape) sortSharers(tops, weight []int) {
	most := map[int32]int{} // by session, of those that don't lead it
	for _, i := range tops {
		if n := &p.nodes[i]; !n.leader {
			most[n.sid] = max(most[n.sid], weight[i])
		}
	}
	key := func(i int) [6]int {
		n := &p.nodes[i]
		s := p.sessions[n.sid]
		if n.leader && n.birth != anySession && p.way&1 != 0 {
			s = p.sessions[n.birth]
		}
		w, leads := weight[i], 0
		// A session that began lower can have what one above it has.
		low := p.nodes[s.leader].depth
		if n.leader && s.id == n.sid {
			more, has := most[n.sid]
			if w, leads = max(w, more), -1; !has {
				low = len(p.nodes)
			}
		}
		if p.way&2 != 0 {
			w, low = -low, -w
		}
		if p.way&4 != 0 {
			i = -i
		}
		return [6]int{-p.nodes[n.parent].depth, -w, low, s.leader, leads, i}
	}
	slices.SortFunc(tops, func(a, b int) int {
		x, y := key(a), key(b)
		return slices.Compare(x[:], y[:])
	})
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
			other := p.known(s.first(object{k, id}))
			return taskf(p.known(i), "shares its %s with task %d: %w", kindNames[k], other.Pid, errOrder)
		}
	}
	return nil
}
