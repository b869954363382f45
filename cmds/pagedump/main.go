// pagedump adds the contents of a frozen tree's memory to its stream, and ends
// it.
//
// # Synopsis
//
//	freeze PID | vmadump | vdsoprobe | fddump | pagedump [--compress lz4] > IMAGE
//
// # Description
//
// pagedump reads the stream of the stages before it, passes it on, and adds the
// pages that have to be saved: private memory that was written, and shared
// anonymous memory once. Pages of zeros take no bytes. Pages of files that were
// not changed are not saved: restore maps the files again.
//
// It is the last stage, and what it calls complete can be restored: before it
// reads any page it runs all of restore's plan from the records, and refuses a
// tree that could not be made again. What arrives must be what each stage has
// written, byte for byte, as those have told freeze: programs between the stages
// may look at the stream (tee, pv) but not change it.
//
// When its output is a regular file, the image is on disk
// before it exits, and readable by its owner only: an image holds whatever the
// processes held, passwords and keys too.
//
// # Exit status
//
//	0  the image is complete (and on disk, if it is a file)
//	1  failed; the tree runs on, the image is worthless
//	2  usage
//	3  the input is damaged, incomplete, or no stream
//
// # Examples
//
//	freeze 1234 | vmadump | vdsoprobe | fddump | pagedump --compress lz4 > img
package main

import (
	"context"
	_ "embed"
	"os"

	"floe/lib/cli"
	"floe/lib/pages"
	"floe/lib/record"
	"floe/lib/stage"
	"floe/lib/verdict"
)

//go:embed main.go
var manual string

type flags struct {
	Compress string `enum:"none,lz4" default:"none" help:"Compress the pages: ${enum}."`
	Workers  int    `default:"0" help:"Threads that read and write pages; 0: one a processor."`
}

func main() {
	var f flags
	cli.Main("pagedump", manual, &f, func(ctx context.Context, log *cli.Logger) error {
		return run(ctx, os.Stdin, os.Stdout, log, pages.Options{Compress: f.Compress == "lz4", Workers: f.Workers})
	})
}

func run(ctx context.Context, in, out *os.File, log *cli.Logger, opt pages.Options) error {
	var index *record.Index
	return stage.Run(ctx, stage.Options{
		Name: "pagedump", Needs: []string{"freeze", "vmadump", "vdsoprobe", "fddump"},
		Last: true, Index: func() *record.Index { return index }, Check: verdict.Check, Log: log, Keep: func(*record.Record) bool { return true },
	}, in, out, func(c *stage.Context) (err error) {
		progress := log.Progress("saved", 0)
		defer progress.Done()
		index, err = pages.Dump(c, opt, progress.Add)
		return err
	})
}
