package plan

// group is a process group that tasks must join.
type group struct {
	id      int32
	members []int // that must join it, its own leader not among them
	leader  int   // a task of the tree; 0: it is gone, or the session's
	ghost   bool
	joined  int // how many have
}

// home is the group that a task is in after all forks.
func (p *shape) home(n *node) int32 {
	if n.sid == p.nodes[0].sid {
		return p.outerGroup
	}
	return n.sid
}

// groups lists the groups that are not as they should be after all forks.
func (p *shape) groups() (map[int32]*group, []*group) {
	by, order := map[int32]*group{}, []*group(nil)
	for i := 1; i < p.ghosts; i++ {
		n := &p.nodes[i]
		if n.pgid == p.home(n) {
			continue
		}
		g := by[n.pgid]
		if g == nil {
			g = &group{id: n.pgid, leader: p.byPID[n.pgid]}
			by[g.id], order = g, append(order, g)
		}
		if g.leader != i {
			g.members = append(g.members, i)
		}
	}
	return by, order
}

// joinGroups plans the process groups, all tasks being in their sessions. First
// each is made, by its leader or by a helper in its place; then tasks join. A
// leader that is in another group itself goes last, and only when somebody is in
// its own: an empty group is gone.
func (p *shape) joinGroups() error {
	by, order := p.groups()
	for _, g := range order {
		if g.leader != 0 {
			p.setpgid(p.nodes[g.leader].pid, g.id)
			continue
		}
		// A helper, forked by one of its members, leads it.
		g.ghost = true
		p.steps = append(p.steps, Step{Kind: Fork, Task: p.nodes[g.members[0]].pid, Child: g.id, Helper: true})
		p.setpgid(g.id, g.id)
	}
	moves := p.joinFixed(by, order)
	holders := p.joinMovers(by, moves)
	for _, g := range order {
		if g.ghost {
			p.steps = append(p.steps, Step{Kind: Bury, Task: p.nodes[g.members[0]].pid, Child: g.id})
		}
	}
	p.steps = append(p.steps, holders...)
	return nil
}

func (p *shape) setpgid(pid, pgid int32) {
	p.steps = append(p.steps, Step{Kind: Setpgid, Task: pid, Pgid: pgid})
}

// joinFixed has all join who do not hold a group of their own, and returns the
// leaders that have to move elsewhere.
func (p *shape) joinFixed(by map[int32]*group, order []*group) (movers []int) {
	for _, g := range order {
		for _, i := range g.members {
			if own := by[p.nodes[i].pid]; own != nil && own.leader == i {
				continue
			}
			p.setpgid(p.nodes[i].pid, g.id)
			g.joined++
		}
	}
	for _, g := range order {
		if g.leader != 0 && p.nodes[g.leader].pgid != g.id {
			movers = append(movers, g.leader)
		}
	}
	return movers
}

// joinMovers has leaders move to the groups of others, each once its own can do
// without it. In a ring of leaders nobody can begin: a helper holds one's place.
func (p *shape) joinMovers(by map[int32]*group, movers []int) (bury []Step) {
	done := map[int]bool{}
	move := func(i int) {
		for {
			n := &p.nodes[i]
			done[i] = true
			to := by[n.pgid]
			switch {
			case n.pgid != p.home(n):
				p.setpgid(n.pid, n.pgid)
			case n.sid == p.nodes[0].sid:
				p.setpgid(n.pid, OuterGroup)
				return
			default:
				p.setpgid(n.pid, n.sid)
				return
			}
			if to.joined++; to.leader == 0 || done[to.leader] || p.nodes[to.leader].pgid == to.id {
				return
			}
			i = to.leader
		}
	}
	for _, i := range movers {
		if !done[i] && by[p.nodes[i].pid].joined > 0 {
			move(i)
		}
	}
	for _, i := range movers {
		if !done[i] {
			p.helpers--
			p.steps = append(p.steps, Step{Kind: Fork, Task: p.nodes[i].pid, Child: p.helpers, Helper: true})
			bury = append(bury, Step{Kind: Bury, Task: p.nodes[i].pid, Child: p.helpers})
			move(i)
		}
	}
	return bury
}
