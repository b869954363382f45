package freezer

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"floe/lib/inject"
	"floe/lib/mem"
	"floe/lib/procfs"
)

// policiesAtOnce bounds how many mappings are asked about in one visit: 96 bytes
// of scratch memory each.
const policiesAtOnce = 2048

// ranges lists the mappings of a process but for the kernel's own.
func ranges(pid int) ([]mem.Range, error) {
	f, err := procfs.Open(fmt.Sprintf("/proc/%d/maps", pid), unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var list []mem.Range
	for m, err := range procfs.Mappings(f) {
		if err != nil {
			return nil, err
		}
		if m.Name != "[vsyscall]" {
			list = append(list, mem.Range{Start: m.Start, End: m.End})
		}
	}
	return list, nil
}

// policies asks for the memory policies of the mappings that the query left out,
// and for the nodes of all.
func (c *collector) policies(g *inject.Guest, t inject.Thread, q *processQuery) error {
	found := q.task.Mm.Policies
	for part := range slices.Chunk(q.ranges[q.first():], policiesAtOnce) {
		err := g.Run(c.p, t, mem.AskPolicies(part), func(res []int64, data func(int, int) ([]byte, error)) error {
			more, err := mem.AnswerPolicies(part, res, data)
			found = append(found, more...)
			return err
		})
		if err != nil {
			return err
		}
	}
	for part := range slices.Chunk(found, policiesAtOnce/2) {
		err := g.Run(c.p, t, mem.AskNodes(part), func(res []int64, data func(int, int) ([]byte, error)) error {
			return mem.AnswerNodes(part, res, data)
		})
		if err != nil {
			return err
		}
	}
	q.task.Mm.Policies = mem.Joined(found)
	return nil
}

// first is how many mappings the process's own query asks about.
func (q *processQuery) first() int { return min(len(q.ranges), policiesAtOnce) }

// readMemory reads the answers of mem.Ask, and of mem.AskPolicies behind them.
func (q *processQuery) readMemory(res []int64, data func(int, int) ([]byte, error)) (err error) {
	if q.task.Mm, q.ldt, err = mem.Answer(res); err != nil {
		return err
	}
	own := len(res) - q.first()
	q.task.Mm.Policies, err = mem.AnswerPolicies(q.ranges[:q.first()], res[own:], func(call, arg int) ([]byte, error) { return data(own+call, arg) })
	return err
}

func (q *processQuery) readFilled(res []int64, data func(int, int) ([]byte, error)) (err error) {
	q.task.Mm.LockFuture, err = mem.AnswerFilled(res, data)
	return err
}

// readLDT reads the local descriptor table, which takes 64 KiB.
func (q *processQuery) readLDT(res []int64, data func(int, int) ([]byte, error)) (err error) {
	q.task.Mm.Ldt, err = mem.AnswerLDT(res, data)
	return err
}

// memory asks for what of a process's memory its query has not told.
func (c *collector) memory(g *inject.Guest, t inject.Thread, q *processQuery) error {
	if q.task.Mm.LockFuture != 0 {
		if err := g.Run(c.p, t, mem.AskFilled(), q.readFilled); err != nil {
			return err
		}
	}
	if q.ldt {
		if err := g.Run(c.p, t, mem.AskLDT(), q.readLDT); err != nil {
			return err
		}
	}
	if len(q.ranges) == q.first() && len(q.task.Mm.Policies) == 0 {
		return nil
	}
	return c.policies(g, t, q)
}
