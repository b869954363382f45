// pagedump adds the contents of a frozen tree's memory to its stream, and ends
// it.
//
// # Synopsis
//
//	freeze PID | vmadump | vdsoprobe | fddump | pagedump [--compress lz4] -o IMAGE
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
// An image holds whatever the processes held, passwords and keys too. -o IMAGE
// (each stage has it) makes a file that only the caller can read, mode 0600, and
// that nobody has open: under a name of its own in the directory of IMAGE,
// .IMAGE.XXXXXXXX.partial, which becomes IMAGE once the image is complete and on
// disk. A failure or a signal removes it, SIGKILL leaves it behind. What was
// called IMAGE before stays until then, if it is a regular file of the caller's.
// Anything else of that name is refused: a directory, a symbolic link, a fifo, a
// device, /dev/stdout, a file of another user. The name - is standard output.
//
// Standard output may be anything. A file there that others may read becomes mode
// 0600, but who had it open before goes on reading; a file of another user is
// refused. It is on disk before pagedump exits if freeze has --then kill or stop.
//
// # Exit status
//
//	0  the image is complete (and on disk, with -o or --then kill or stop)
//	1  failed; the tree runs on, the image is worthless
//	2  usage
//	3  the input is damaged, incomplete, or no stream
//
// # Examples
//
//	freeze 1234 | vmadump | vdsoprobe | fddump | pagedump --compress lz4 -o img
//	freeze 1234 | vmadump | vdsoprobe | fddump | pagedump | xz > img.xz
package main

import (
	"context"
	_ "embed"
	"os"

	"floe/lib/cli"
	"floe/lib/dump"
	"floe/lib/pages"
)

//go:embed main.go
var manual string

type flags struct {
	Compress string `enum:"none,lz4" default:"none" help:"Compress the pages: ${enum}."`
	Output   string `short:"o" placeholder:"IMAGE" help:"Make the file IMAGE of it, instead of writing to standard output."`
	Workers  int    `default:"0" help:"Threads that read and write pages; 0: one a processor."`
}

func main() {
	var f flags
	cli.Main("pagedump", manual, &f, func(ctx context.Context, log *cli.Logger) error {
		return dump.Pagedump(ctx, dump.Ends{In: os.Stdin, Out: os.Stdout, Log: log, File: f.Output}, pages.Options{Compress: f.Compress == "lz4", Workers: f.Workers})
	})
}
