package main

import (
	"context"
	"io"
	"os"

	"floe/lib/cli"
	"floe/lib/pages"
	"floe/lib/restorer"
)

// check reads an image to its end, and lists what keeps it from being restored
// here, one reason a line.
func check(ctx context.Context, in *os.File, out io.Writer, log *cli.Logger, opt options) error {
	src, err := readRecords(ctx, in)
	if err != nil {
		return err
	}
	memory, err := restorer.Memory()
	if err != nil {
		return err
	}
	progress := log.Progress("checked", src.size())
	guards, err := src.load(ctx, pages.LoadOptions{Progress: progress.Add, Discard: true, Memory: memory})
	progress.Done()
	if err != nil {
		return err
	}
	reasons, err := restorer.Examine(ctx, src.im, opt.restorer(in, log), guards.Any())
	if err != nil {
		return err
	}
	w := cli.NewPrinter(out)
	said := map[string]bool{} // a file may be mapped and open
	for _, r := range reasons {
		if text := r.Error(); !said[text] {
			said[text] = true
			w.Line("%s", text)
		}
	}
	root := src.im.Tasks[0]
	if len(reasons) == 0 && !log.Quiet {
		w.Line("it can be restored here: %d tasks, root %d (%s)", len(src.im.Tasks), root.Pid, root.Comm)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(reasons) > 0 {
		return &cli.ExitError{Code: cli.StatusFailed}
	}
	return nil
}
