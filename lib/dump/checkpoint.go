package dump

import (
	"context"
	"fmt"
	"os"
	"time"

	"floe/lib/cli"
	"floe/lib/pages"
	"floe/lib/stage"
)

// Options of a checkpoint by all stages in one process.
type Options struct {
	PID     int
	Output  string        // the image; empty or -: standard output
	Then    string        // thaw, kill, stop
	Timeout time.Duration // as for Freeze
	Pages   pages.Options
}

// patience is how long a failed checkpoint waits for its stages: a write to a
// reader that hangs has no other end.
const patience = 2 * time.Second

// Checkpoint runs all stages, with pipes between them, and writes the image to
// out or to the file that opt names. An error says that the tree runs on, and
// that there is no image, unless it could only not be given its name.
func Checkpoint(ctx context.Context, out *os.File, log *cli.Logger, opt Options) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	onSignal(cancel) // before there is a file to be removed
	// What a stage could refuse before it has joined the lease is refused here.
	last := Ends{Out: out, Log: log}
	file, err := stage.OpenFile(opt.Output, log)
	switch {
	case err != nil:
		return err
	case file != nil:
		defer file.Abort()
		last.Into = file
	case cli.IsTerminal(out):
		return cli.Usage(fmt.Errorf("standard output is a terminal; -o FILE makes the image"))
	default:
		if err := stage.Protect(out, log); err != nil {
			return err
		}
	}
	p := &pipeline{log: log, failed: make(chan error, 4)}
	stream, err := p.start(ctx, last, opt.Pages)
	if err == nil {
		err = Freeze(ctx, stream, log, FreezeOptions{PID: opt.PID, Then: opt.Then, Timeout: opt.Timeout})
		stream.Close()
	}
	return p.wait(err)
}

// pipeline is the stages after freeze, at work.
type pipeline struct {
	log     *cli.Logger
	running int
	failed  chan error // what came of each; nil: it has done its part
}

// start starts the stages, and returns the pipe to the first of them.
func (p *pipeline) start(ctx context.Context, last Ends, opt pages.Options) (*os.File, error) {
	in, stream, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	for _, s := range []struct {
		name string
		run  func(context.Context, Ends) error
	}{{"vmadump", Vmadump}, {"vdsoprobe", Vdsoprobe}, {"fddump", Fddump}} {
		next, w, err := os.Pipe()
		if err != nil {
			in.Close()
			stream.Close()
			return nil, err
		}
		p.run(s.name, Ends{In: in, Out: w, Log: p.log}, func(e Ends) error {
			defer w.Close()
			return s.run(ctx, e)
		})
		in = next
	}
	last.In = in
	p.run("pagedump", last, func(e Ends) error { return Pagedump(ctx, e, opt) })
	return stream, nil
}

func (p *pipeline) run(name string, e Ends, f func(Ends) error) {
	p.running++
	go func() {
		err := f(e)
		e.In.Close()
		if err != nil {
			err = fmt.Errorf("%s: %w", name, err)
		}
		p.failed <- err
	}()
}

// wait waits for the stages to end. failed is why freeze has failed, which
// covers whatever any of them says.
func (p *pipeline) wait(failed error) error {
	var late <-chan time.Time
	if failed != nil {
		late = time.After(patience)
	}
	err := failed
	for range p.running {
		select {
		case e := <-p.failed:
			if err == nil {
				err = e
			}
		case <-late:
			return err
		}
	}
	return err
}
