package pages

import (
	"floe/lib/record"
	"floe/lib/stage"
)

// Dump saves the contents of a frozen tree's memory to the stream of c, and
// returns the index of it. saved, if set, is told the bytes written.
func Dump(c *stage.Context, opt Options, saved func(int)) (*record.Index, error) {
	out, err := newOutput(c.Writer, c.Out)
	if err != nil {
		return nil, err
	}
	ix, err := dump(c, spacesOf(c.Image), out, opt, func(n int) {
		c.Step() // also for pages that take no bytes
		if saved != nil {
			saved(n)
		}
	})
	if err != nil {
		return nil, err
	}
	return &record.Index{Blocks: ix.blocks()}, nil
}
