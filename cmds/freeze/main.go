// freeze stops a process tree and begins the stream that describes it.
//
// # Synopsis
//
//	freeze [--then thaw|kill|stop] [--timeout DURATION] PID | STAGE... > IMAGE
//	freeze [--then thaw|kill|stop] [--timeout DURATION] PID -- COMMAND [ARG...]
//	freeze -o FILE PID
//	freeze --features
//
// # Description
//
// freeze stops the process PID, all its threads and all its descendants, writes
// what only their tracer can know of them to standard output, and holds them
// until the stages after it are done or gone. It touches nothing in the
// processes: they go on as if nothing had been, also when freeze or any stage
// is killed at any moment. (A freeze that is killed by SIGKILL in the very moment
// in which it kills the tree may leave a part of it, whose image is whole.)
//
// What happens to the tree then is --then's: thaw lets it go on; stop leaves it
// stopped by SIGSTOP; kill ends it while it is still frozen, so that nothing
// that it does after the image exists. kill and stop need a whole image that is
// on disk (pagedump -o, or its standard output is a regular file); without one
// the tree is thawed, and freeze fails.
//
// With a COMMAND freeze runs the stages itself: the stream goes to the
// command's standard input, and its exit status tells whether the image
// arrived. That is for images that leave the machine.
//
// A tree is not held for ever: one that can't be frozen within --timeout (10s) is
// let go, and so is one of which nothing has moved for so long, because a stage
// or a program between two stages is stopped, hangs, or waits for a reader that
// does not read. What goes on, however slowly, has all the time that it needs: a
// stage tells of every byte and record. Ctrl-Z does not stop freeze, and SIGSTOP
// for no longer than --timeout. Of one thing only freeze can't see how it goes: a
// disk that takes longer than --timeout for a single request.
//
// With a COMMAND and kill or stop the tree is held until the command ends, even
// if that hangs once it has read the whole image: the tree may already run where
// the image went. A signal to freeze ends the wait, and the tree runs on. thaw
// does not wait for the command.
//
// With --features freeze lists what this kernel has of all that floe can use, the
// first release of Linux that has it, and what it is for. Without one that is
// needed, nothing works, and the status is 1.
//
// # Exit status
//
//	0  done as --then says
//	1  refused or failed; the tree runs on
//	2  usage
//	with COMMAND: its status, when that is not 0
//
// # Examples
//
//	freeze 1234 | vmadump | vdsoprobe | fddump | pagedump -o img
//	freeze --then kill 1234 | vmadump | vdsoprobe | fddump | pagedump -o img
//	freeze --then kill 1234 -- sh -c 'vmadump | vdsoprobe | fddump | pagedump | ssh host restore -d'
package main

import (
	"context"
	_ "embed"
	"errors"
	"os"
	"time"

	"floe/lib/cli"
	"floe/lib/dump"
)

//go:embed main.go
var manual string

type flags struct {
	Output   string        `short:"o" placeholder:"FILE" help:"Write the stream to FILE, instead of to the next stage."`
	Then     string        `enum:"thaw,kill,stop" default:"thaw" help:"What to do with the tree once its image is complete: thaw, kill or stop it."`
	Timeout  time.Duration `default:"10s" help:"How long freezing may take, and for how long nothing may move while a tree is frozen."`
	Features bool          `help:"List what this kernel has of all that floe can use, and exit."`
	PID      int           `arg:"" optional:"" default:"-1" name:"pid" help:"The root of the tree."`
	Command  []string      `arg:"" optional:"" passthrough:"" help:"A command that runs the stages."`
}

func main() {
	var f flags
	cli.Main("freeze", manual, &f, func(ctx context.Context, log *cli.Logger) error {
		if f.Features {
			return features(os.Stdout)
		}
		if f.PID == -1 {
			return cli.Usage(errors.New("expected \"<pid>\"; see freeze --help"))
		}
		if len(f.Command) > 0 && f.Command[0] == "--" {
			f.Command = f.Command[1:]
		}
		return dump.Freeze(ctx, os.Stdout, log, dump.FreezeOptions{PID: f.PID, Output: f.Output, Then: f.Then, Timeout: f.Timeout, Command: f.Command, Std: [2]*os.File{os.Stdout, os.Stderr}})
	})
}
