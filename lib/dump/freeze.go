package dump

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"floe/lib/cli"
	"floe/lib/freezer"
	"floe/lib/lease"
	"floe/lib/record"
	"floe/lib/stage"
	"floe/lib/tracer"
)

// FreezeOptions are freeze's flags.
type FreezeOptions struct {
	PID     int
	Output  string        // the file that the stream goes to; empty or -: standard output
	Then    string        // thaw, kill, stop
	Timeout time.Duration // how long freezing may take, and for how long nothing may move
	Command []string      // that runs the stages
	Std     [2]*os.File   // standard output and error of Command
}

// frozen is a tree that freeze holds, and who waits for it.
type frozen struct {
	FreezeOptions
	log     *cli.Logger
	server  *lease.Server
	tracer  *tracer.Tracer
	tree    *freezer.Tree
	ignored []os.Signal // that the command is not to ignore
	out     *os.File    // where the stream goes
	pipe    bool        // its reader can be seen to go
	command *command    // nil: the shell runs the stages
}

// errInterrupted says that a signal ended the work.
var errInterrupted = errors.New("interrupted")

// Freeze freezes a tree, writes its records to out or to a command, and lets it
// go when everybody is done.
func Freeze(ctx context.Context, out *os.File, log *cli.Logger, opt FreezeOptions) error {
	if err := freezer.Refuse(opt.PID); err != nil {
		return err
	}
	out, file, err := openOutput(out, log, opt)
	if err != nil {
		return err
	}
	if file != nil {
		defer file.Abort()
	}
	pipe := true // a command's
	if len(opt.Command) == 0 {
		if pipe, err = stage.IsPipe(out); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	onSignal(cancel)
	ignored, err := stayAwake(opt.Timeout)
	if err != nil {
		return err
	}
	f := &frozen{FreezeOptions: opt, log: log, out: out, pipe: pipe, ignored: ignored, tracer: tracer.New()}
	defer f.tracer.Close()
	if f.server, err = lease.NewServer(); err != nil {
		return err
	}
	defer f.server.Close()
	if err := f.freeze(ctx); err != nil {
		return err
	}
	start := time.Now()
	end := f.hold(ctx, cancel)
	err = f.letGo(end)
	f.tracer.Close() // what could not be let go goes now
	f.server.Close() // a stage that goes on now has come too late
	log.Verbosef("held for %s", time.Since(start).Round(time.Microsecond))
	if err == nil && file != nil {
		err = file.Commit()
	}
	if f.command == nil {
		return err
	}
	status := f.command.finish(errors.Is(context.Cause(ctx), errInterrupted))
	if err == nil && f.thaws() {
		f.command.verdict(&end)
		err = f.report(end)
	}
	if err != nil && status > 0 {
		return &cli.ExitError{Code: status, Err: err}
	}
	return err
}

// thaws tells whether the tree goes on however its image fares: then nothing
// depends on a command but its own status, and the tree needn't wait for it.
func (f *frozen) thaws() bool { return f.Then == "thaw" }

// openOutput is where the stream goes without a command: to out, or to a file,
// which is then not nil.
func openOutput(out *os.File, log *cli.Logger, opt FreezeOptions) (*os.File, *stage.File, error) {
	if len(opt.Command) > 0 {
		if opt.Output != "" {
			return nil, nil, cli.Usage(fmt.Errorf("-o FILE is for the stream, which goes to the command"))
		}
		return out, nil, nil
	}
	file, err := stage.OpenFile(opt.Output, log)
	switch {
	case err != nil:
		return nil, nil, err
	case file != nil:
		return file.File, file, nil
	case cli.IsTerminal(out):
		return nil, nil, cli.Usage(fmt.Errorf("standard output is a terminal; write the stream to the next stage: freeze PID | vmadump | …"))
	}
	return out, nil, stage.Protect(out, log)
}

// onSignal lets the first signal end the work. A second one ends the program;
// the tree survives that too.
func onSignal(cancel context.CancelCauseFunc) {
	c := make(chan os.Signal, 1)
	for _, s := range []os.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT} {
		if !signal.Ignored(s) {
			signal.Notify(c, s)
		}
	}
	go func() {
		s := <-c
		signal.Stop(c)
		cancel(fmt.Errorf("%w by signal: %s", errInterrupted, s))
	}()
}

func (f *frozen) freeze(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, f.Timeout)
	defer cancel()
	start := time.Now()
	err := f.tracer.Do(func(p *tracer.Ptrace) (err error) {
		f.tree, err = freezer.Freeze(ctx, p, f.PID)
		return err
	})
	if err == nil {
		f.log.Verbosef("froze %d processes in %s", len(f.tree.Procs), time.Since(start).Round(time.Microsecond))
	}
	return err
}

// hold writes the stream and waits until nobody needs the tree any more.
func (f *frozen) hold(ctx context.Context, cancel context.CancelCauseFunc) lease.Outcome {
	wait := lease.WaitOptions{Out: int(f.out.Fd()), Idle: f.Timeout}
	if f.Then == "kill" && len(f.Command) == 0 { // a command may have it restored elsewhere
		if err := f.tree.Stranded(); err != nil {
			return lease.Outcome{Failure: err.Error()}
		}
	}
	if len(f.Command) > 0 {
		c, err := startCommand(f.Command, f.Std, f.ignored, cancel)
		if err != nil {
			return lease.Outcome{Failure: err.Error()}
		}
		f.command, f.out = c, c.in
		wait.Command, wait.Release, wait.Out = true, f.thaws(), -1
	}
	if err := f.write(ctx); err != nil {
		// A stage that failed says why, and that counts more than its silence.
		ended, stop := context.WithCancelCause(ctx)
		stop(err)
		o := f.server.Wait(ended, wait)
		switch {
		case o.Failure != "":
		case f.command != nil && errors.Is(context.Cause(ctx), lease.ErrCommandEnded):
			f.command.verdict(&o)
		default:
			o.Failure = err.Error()
		}
		if why := f.server.Stalled(f.Timeout); errors.Is(err, errStalled) && why != "" {
			o.Failure = why
		}
		return o
	}
	if f.command == nil && !f.pipe {
		return lease.Outcome{} // nobody can follow
	}
	o := f.server.Wait(ctx, wait)
	if f.command != nil && o.Failure == "" && !f.thaws() {
		f.command.verdict(&o)
	}
	return o
}

// write writes freeze's own records.
func (f *frozen) write(ctx context.Context) error {
	h, err := freezer.Header(f.PID, cli.Version)
	if err != nil {
		return err
	}
	start, err := lease.StartTime(os.Getpid())
	if err != nil {
		return err
	}
	h.Lease = &record.Lease{Pid: int32(os.Getpid()), StartTime: start, Fd: int32(f.server.FD()), Durable: f.Then != "thaw"}
	out, err := newOutlet(ctx, f.out, f.Timeout)
	if err != nil {
		return err
	}
	defer out.close()
	w := record.NewWriter(out)
	if err := w.Add(&record.Record{Body: &record.Record_Header{Header: h}}, nil); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return noReader(err)
	}
	if err := f.tracer.Do(func(p *tracer.Ptrace) error {
		return f.tree.Collect(p, func(r *record.Record) error { return w.Add(r, nil) })
	}); err != nil {
		return noReader(err)
	}
	if err := w.EndStage("freeze", cli.Version); err != nil {
		return noReader(err)
	}
	e := w.Ended()
	f.server.Wrote("freeze", lease.Wrote{Records: e.Records, Bytes: e.Bytes, CRC32C: e.Crc32C})
	if f.command == nil && !f.pipe {
		return w.Flush()
	}
	return noReader(w.Mark())
}

func noReader(err error) error {
	if errors.Is(err, unix.EPIPE) {
		return fmt.Errorf("nobody reads the stream")
	}
	return err
}
