// checkpoint saves a process tree: the whole pipeline in one program.
//
// # Synopsis
//
//	checkpoint [--then thaw|kill|stop] [-z] [-o IMAGE] PID
//
// # Description
//
// checkpoint freezes the process PID and all its descendants, saves them, and
// lets them go on; --then kill ends them instead once the image is on disk, and
// --then stop leaves them stopped. It is what this pipeline is,
//
//	freeze PID | vmadump | vdsoprobe | fddump | pagedump -o IMAGE
//
// with the same stages, the same stream between them, and the same image, in one
// process: it starts faster, and gives one message when it fails. The manuals of
// freeze and pagedump say how long a tree is held, and what the file is like.
// Use the pipeline to look at a stage, or to send the image elsewhere (freeze
// PID -- COMMAND).
//
// # Exit status
//
//	0  done as --then says
//	1  refused or failed; the tree runs on
//	2  usage
//
// # Examples
//
//	checkpoint -o img 1234
//	checkpoint --then kill -z -o img.lz4 1234
//	checkpoint 1234 | ssh host 'cat > img'
package main

import (
	"context"
	_ "embed"
	"os"
	"time"

	"floe/lib/calm"
	"floe/lib/cli"
	"floe/lib/dump"
	"floe/lib/pages"
)

//go:embed main.go
var manual string

type flags struct {
	Output   string        `short:"o" placeholder:"IMAGE" help:"Make the file IMAGE, instead of writing to standard output."`
	Compress bool          `short:"z" help:"Compress the pages with lz4."`
	Then     string        `enum:"thaw,kill,stop" default:"thaw" help:"What to do with the tree once its image is complete: thaw, kill or stop it."`
	Timeout  time.Duration `default:"10s" help:"How long freezing may take, and for how long nothing may move while a tree is frozen."`
	PID      int           `arg:"" name:"pid" help:"The root of the tree."`
}

func main() {
	var f flags
	cli.Main("checkpoint", manual, &f, func(ctx context.Context, log *cli.Logger) error {
		calm.Crowd(16) // five stages, the tracer, and what each has for its lease
		return dump.Checkpoint(ctx, os.Stdout, log, dump.Options{
			PID: f.PID, Output: f.Output, Then: f.Then, Timeout: f.Timeout, Pages: pages.Options{Compress: f.Compress},
		})
	})
}
