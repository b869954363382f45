package shapes

import (
	"math/rand/v2"

	"golang.org/x/sys/unix"
)

// What an operation on a descriptor wants.
const (
	aFile    = "file"
	aFolder  = "folder"
	aDevice  = "device"
	aPipe    = "pipe"
	anEvent  = "event"
	aTimer   = "timer"
	aSignal  = "signal"
	anEpoll  = "epoll"
	aPidfd   = "pidfd"
	anything = ""
)

// span is a range of pages of the arena that something was mapped to.
type span struct{ at, pages int64 }

// space is an address space and table a table of descriptors, as far as the
// generator knows them: it needs to guess well, not to be right.
type space struct{ spans []span }
type table struct{ kind map[int64]string }

type task struct {
	slot, parent, leader int64
	space                *space
	table                *table
	gone, blocked        bool
}

// generator makes the program of one seed.
type generator struct {
	*rand.Rand
	tasks  []*task
	weight map[string]int // of groups
	most   int            // tasks
	edge   bool           // edge-triggered entries, or waiting in epolls
}

// Generate makes a seed's program. all: with the operations that wait, see later.go.
func Generate(seed uint64) *Program {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 0x666c6f65)), weight: map[string]int{}}
	g.edge = g.IntN(2) == 0
	for _, o := range ops[2:] {
		if _, ok := g.weight[o.group]; !ok {
			g.weight[o.group] = []int{0, 0, 1, 1, 4, 12}[g.IntN(6)]
		}
	}
	g.weight["tasks"] = max(1, g.weight["tasks"])
	if g.IntN(12) > 0 {
		g.weight["refused"] = 0
	}
	g.most = []int{1, 3, 6, 12, 40}[g.IntN(5)]
	p := &Program{Seed: seed, Root: g.IntN(3)}
	root := &task{parent: -1, space: &space{}, table: &table{kind: map[int64]string{}}}
	g.tasks = []*task{root}
	for range 5 + g.IntN(5)*g.IntN(5)*5 + g.IntN(20) {
		if s, ok := g.step(); ok {
			p.Steps = append(p.Steps, s)
		}
	}
	p.Stops = g.stops()
	return p
}

// step chooses an operation and the task that carries it out.
func (g *generator) step() (Step, bool) {
	t := g.someTask(func(t *task) bool { return !t.gone && !t.blocked })
	if t == nil {
		return Step{}, false
	}
	for range 100 {
		code := 2 + g.IntN(len(ops)-2)
		o := &ops[code]
		if len(g.tasks) < g.most && g.IntN(8) == 0 {
			code = mustCode("fork")
			o = &ops[code]
		} else if g.IntN(30*12) >= o.weight*g.weight[o.group] {
			continue
		}
		v := make([]int64, len(o.args))
		for i, a := range o.args {
			v[i] = g.value(a)
		}
		if o.adjust == nil || o.adjust(g, t, v) {
			return Step{Task: int(t.slot), Code: code, Args: v}, true
		}
	}
	return Step{}, false
}

// value is a random one, with more of the small and the large numbers.
func (g *generator) value(a arg) int64 {
	switch {
	case a.flags:
		var v int64
		for range g.IntN(3) {
			if len(a.names) > 0 {
				v |= a.names[g.IntN(len(a.names))].value
			}
		}
		return v
	case len(a.names) > 0:
		return a.names[g.IntN(len(a.names))].value
	}
	switch g.IntN(10) {
	case 0:
		return a.lo
	case 1:
		return a.hi
	}
	return a.lo + g.Int64N(a.hi-a.lo+1)
}

func (g *generator) someTask(ok func(*task) bool) *task {
	var fit []*task
	for _, t := range g.tasks {
		if ok(t) {
			fit = append(fit, t)
		}
	}
	if len(fit) == 0 {
		return nil
	}
	return fit[g.IntN(len(fit))]
}

// stops chooses processes to be stopped before the checkpoint.
func (g *generator) stops() (out []Stop) {
	if g.IntN(4) > 0 {
		return nil
	}
	for range 1 + g.IntN(3) {
		t := g.someTask(func(t *task) bool { return !t.gone && t.leader == t.slot })
		if t != nil {
			signals := []unix.Signal{unix.SIGSTOP, unix.SIGSTOP, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU}
			out = append(out, Stop{int(t.slot), int(signals[g.IntN(len(signals))])})
		}
	}
	return out
}

// fd is a number that the task has open as one of the kinds.
func (g *generator) fd(t *task, kinds ...string) (int64, bool) {
	var fit []int64
	for n := int64(firstFD); n <= lastFD; n++ {
		for _, k := range kinds {
			if have, ok := t.table.kind[n]; ok && (k == anything || have == k) {
				fit = append(fit, n)
			}
		}
	}
	if len(fit) == 0 {
		return 0, false
	}
	return fit[g.IntN(len(fit))], true
}

func (t *task) clone(slot int64, flags int64) *task {
	c := &task{slot: slot, parent: t.slot, leader: slot, space: t.space, table: t.table}
	if flags&unix.CLONE_THREAD != 0 {
		c.leader, c.parent = t.leader, t.parent
	}
	if flags&unix.CLONE_PARENT != 0 {
		c.parent = t.parent
	}
	if flags&unix.CLONE_VM == 0 {
		c.space = &space{append([]span(nil), t.space.spans...)}
	}
	if flags&unix.CLONE_FILES == 0 {
		c.table = &table{map[int64]string{}}
		for n, k := range t.table.kind {
			c.table.kind[n] = k
		}
	}
	return c
}
