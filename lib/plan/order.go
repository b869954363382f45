package plan

import (
	"golang.org/x/sys/unix"

	"floe/lib/record"
)

// events are the forks (2i) and session starts (2i+1) of the nodes, and which
// must come before which.
type events struct {
	after [][]int32
	waits []int32 // for how many others an event waits
}

func (e *events) before(a, b int) {
	e.after[a] = append(e.after[a], int32(b))
	e.waits[b]++
}

func born(i int) int   { return 2 * i }
func setsid(i int) int { return 2*i + 1 }

func (p *shape) events() *events {
	e := &events{make([][]int32, 2*len(p.nodes)), make([]int32, 2*len(p.nodes))}
	for i := 1; i < len(p.nodes); i++ {
		n := &p.nodes[i]
		e.before(born(i), setsid(i))
		if e.before(born(n.parent), born(i)); n.maker != n.parent {
			e.before(born(n.maker), born(i))
		}
		if m := &p.nodes[n.maker]; m.leader && n.birth == m.sid {
			e.before(setsid(n.maker), born(i))
		} else if m.leader && n.birth != anySession {
			e.before(born(i), setsid(n.maker))
		}
	}
	return e
}

// sort orders the events; those that wait for each other are missing.
func (p *shape) sort() (order, waits []int32) {
	e := p.events()
	e.waits[setsid(0)]++ // the caller starts none
	order = append(make([]int32, 0, len(e.waits)), int32(born(0)))
	for at := 0; at < len(order); at++ {
		for _, b := range e.after[order[at]] {
			if e.waits[b]--; e.waits[b] == 0 {
				order = append(order, b)
			}
		}
	}
	return order, e.waits
}

// stuck finds a node whose events wait for each other, what it is that makes them
// wait, and who should have that, too. 0: there is none.
func (p *shape) stuck() (i int, need [kinds]uint64, from int) {
	order, waits := p.sort()
	if p.sorted = order; len(order) == len(waits)-1 {
		return 0, need, 0
	}
	for x := 1; x < len(p.nodes); x++ {
		n := &p.nodes[x]
		if waits[born(x)] == 0 && waits[setsid(x)] == 0 {
			continue
		}
		i = x
		m := &p.nodes[n.maker]
		if n.maker == n.parent || m.parent == n.parent || m.parent == 0 {
			continue
		}
		// The maker is lower than a sibling: its parent would do.
		for k, id := range n.objs {
			if m.objs[k] == id {
				need[k] = id
			}
		}
		return i, need, m.parent
	}
	return i, need, 0
}

// cycle is the error about a node that waits for itself.
func (p *shape) cycle(i int) error {
	return taskf(p.known(i), "would have to be forked by its own descendant, or after what it forks: %w", errOrder)
}

// makeAll plans the forks and the sessions, in an order that suits all.
func (p *shape) makeAll() error {
	for _, ev := range p.sorted {
		if err := p.make(int(ev)); err != nil {
			return err
		}
	}
	for i := 1; i < p.ghosts; i++ {
		if n := &p.nodes[i]; n.leave != 0 {
			p.steps = append(p.steps, Step{Kind: Leave, Task: n.pid, Flags: n.leave})
		}
	}
	return nil
}

func (p *shape) make(ev int) error {
	i := ev / 2
	switch n := &p.nodes[i]; {
	case i == 0:
	case ev == born(i):
		return p.fork(i)
	case n.leader:
		p.steps = append(p.steps, Step{Kind: Setsid, Task: n.pid})
	}
	return nil
}

// fork plans the birth of a node, as a child of its parent.
func (p *shape) fork(i int) error {
	n := &p.nodes[i]
	m := &p.nodes[n.maker]
	flags, err := p.cloneFlags(n.maker, i)
	if err != nil {
		return err
	}
	step := Step{Kind: Fork, Task: m.pid, Child: n.pid, Helper: i >= p.ghosts, Flags: flags, ExitSignal: n.exit}
	switch {
	case n.maker == 0, n.maker != n.parent && m.parent == n.parent && m.exit == n.exit:
		// A sibling of the maker has its exit signal; the caller's forks are
		// siblings of the first puppet.
		step.Flags, step.ExitSignal = flags|unix.CLONE_PARENT, 0
	case n.maker == n.parent:
	case n.exit == adopted && n.parent != 0:
		p.adopt(step, p.nodes[n.parent].pid)
		return nil
	default:
		return taskf(p.known(i), "has exit signal %d, and was not forked by its parent: %w", n.exit, errOrder)
	}
	p.steps = append(p.steps, step)
	return nil
}

// known is the task that a node is about: of a leader that is gone, one that it
// forks.
func (p *shape) known(i int) *record.Task {
	if i >= p.ghosts {
		i = p.sessions[p.nodes[i].sid].born[0]
	}
	return p.nodes[i].task
}

// adopt plans a fork by way of a helper, which ends, so that the child goes to a
// parent further up.
func (p *shape) adopt(fork Step, parent int32) {
	p.helpers--
	helper := p.helpers
	p.steps = append(p.steps,
		Step{Kind: Fork, Task: fork.Task, Child: helper, Helper: true, Flags: fork.Flags},
		Step{Kind: Fork, Task: helper, Child: fork.Child, Helper: fork.Helper, Flags: fork.Flags, ExitSignal: fork.ExitSignal},
		Step{Kind: Adopt, Task: parent, On: true},
		Step{Kind: Bury, Task: fork.Task, Child: helper},
		Step{Kind: Adopt, Task: parent})
}

// burySessions ends the leaders that are gone: all that they had to fork is
// there, and all groups have who is in them.
func (p *shape) burySessions() {
	for i := p.ghosts; i < len(p.nodes); i++ {
		p.steps = append(p.steps, Step{Kind: Bury, Task: p.nodes[p.nodes[i].parent].pid, Child: p.nodes[i].pid})
	}
}
