package plan

import (
	"golang.org/x/sys/unix"
)

// chooseMakers finds for each node the one that forks it. Where nobody can that
// has what a task shares, its maker has had it once, and it is chosen again.
func (p *shape) chooseMakers() error {
	for {
		*p.budget -= len(p.nodes)
		p.defaultMakers()
		need, from, err := p.chooseSharers()
		if err == nil {
			var i int
			if i, need, from = p.stuck(); i == 0 {
				return nil
			}
			err = p.cycle(i)
		}
		if *p.budget < 0 || !p.lend(need, from) {
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
