package fds

import (
	"floe/lib/record"
	"floe/lib/stage"
)

// Collect is fddump's work: it adds the records of all that the tree of ctx has
// open. The tree must be frozen.
func Collect(ctx *stage.Context) error {
	n := 0
	t := &Tree{
		Tasks: ctx.Image.Tasks,
		Clock: ctx.Image.Header.GetClocks(),
		Step:  ctx.Step,
		Add: func(rec *record.Record, payload []byte) error {
			n++
			if err := ctx.Err(); err != nil {
				return err
			}
			return ctx.Writer.Add(rec, payload)
		},
	}
	if ctx.Log != nil {
		t.Verbosef = ctx.Log.Verbosef
	}
	if err := CollectTree(t); err != nil {
		return err
	}
	if ctx.Log != nil {
		ctx.Log.Verbosef("saved %d records of descriptors", n)
	}
	return nil
}
