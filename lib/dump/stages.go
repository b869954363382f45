package dump

import (
	"context"
	"os"

	"floe/lib/cli"
	"floe/lib/fds"
	"floe/lib/pages"
	"floe/lib/record"
	"floe/lib/stage"
	"floe/lib/verdict"
	"floe/lib/vmas"
)

// Ends are a stage's input, its output and its messages.
type Ends struct {
	In, Out *os.File
	Log     *cli.Logger
	// File, if not empty or -, names the file that is made for the output, in
	// place of Out.
	File string
	// Into is such a file that the caller has made, and removes on signals.
	Into *stage.File
}

// run runs a stage with these ends.
func (e Ends) run(ctx context.Context, opt stage.Options, collect func(*stage.Context) error) error {
	opt.File, opt.Into, opt.Log = e.File, e.Into, e.Log
	return stage.Run(ctx, opt, e.In, e.Out, collect)
}

// Vmadump adds the memory maps.
func Vmadump(ctx context.Context, e Ends) error {
	return e.run(ctx, stage.Options{Name: "vmadump", Needs: []string{"freeze"}}, func(c *stage.Context) error {
		return vmas.Collect(c.Image, func(r *record.Record) error { return c.Writer.Add(r, nil) }, c.Log.Verbosef)
	})
}

// Fddump adds the descriptors, and what they lead to.
func Fddump(ctx context.Context, e Ends) error {
	return e.run(ctx, stage.Options{Name: "fddump", Needs: []string{"freeze"}}, fds.Collect)
}

// Pagedump adds the contents of the memory, and ends the stream.
func Pagedump(ctx context.Context, e Ends, opt pages.Options) error {
	var index *record.Index
	return e.run(ctx, stage.Options{
		Name: "pagedump", Needs: []string{"freeze", "vmadump", "vdsoprobe", "fddump"},
		Last: true, Index: func() *record.Index { return index }, Check: verdict.Check, Keep: func(*record.Record) bool { return true },
	}, func(c *stage.Context) (err error) {
		progress := c.Log.Progress("saved", 0)
		defer progress.Done()
		index, err = pages.Dump(c, opt, progress.Add)
		return err
	})
}
