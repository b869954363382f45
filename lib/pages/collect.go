package pages

import (
	"slices"

	"floe/lib/mem"
	"floe/lib/record"
)

// collector turns extents into blocks and hands them out.
type collector struct {
	out   func(*block) error
	seq   uint64
	cur   *block
	pages uint64 // in cur.runs
}

// add puts an extent's pages into blocks.
func (c *collector) add(o owner, src source, e extent) error {
	for e.Pages > 0 {
		if c.cur != nil && c.cur.owner != o {
			if err := c.flush(); err != nil {
				return err
			}
		}
		if c.cur == nil {
			src.hold()
			c.cur, c.pages = &block{seq: c.seq, owner: o, src: src}, 0
			c.seq++
		}
		switch e.class {
		case classZero:
			c.cur.known = appendRun(c.cur.known, e.Run)
			e.Pages = 0
		case classGuard:
			c.cur.guard = appendRun(c.cur.guard, e.Run)
			e.Pages = 0
		default:
			part := Run{e.Addr, min(e.Pages, BlockPages-c.pages)}
			c.cur.runs = appendRun(c.cur.runs, part)
			c.pages += part.Pages
			e.Addr, e.Pages = part.End(), e.Pages-part.Pages
		}
		if c.pages == BlockPages || len(c.cur.known)+len(c.cur.guard) >= maxRuns {
			if err := c.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush hands out the current block, full or not.
func (c *collector) flush() error {
	b := c.cur
	if b == nil {
		return nil
	}
	c.cur = nil
	return c.out(b)
}

// Saves tells whether the contents of a vma are saved with its address space.
func Saves(v *record.Vma) bool {
	switch v.Kind {
	case record.Vma_ANON_PRIVATE, record.Vma_FILE_PRIVATE:
		return !slices.Contains(v.Flags, mem.Droppable) // droppable memory comes back empty
	}
	return false
}

// Guardable tells whether a vma may have guard regions, with contents of its own
// or without.
func Guardable(v *record.Vma) bool {
	return v.Kind != record.Vma_SPECIAL && v.Kind != record.Vma_VSYSCALL
}
