package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
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

type options struct {
	PID     int
	Then    string // thaw, kill, stop
	Timeout time.Duration
	Command []string
}

// frozen is a tree that freeze holds, and who waits for it.
type frozen struct {
	options
	log    *cli.Logger
	server *lease.Server
	tracer *tracer.Tracer
	tree   *freezer.Tree
	out    *os.File // where the stream goes
	cmd    *exec.Cmd
}

// run freezes a tree, writes its records to out or to a command, and lets it
// go when everybody is done.
func run(ctx context.Context, out *os.File, log *cli.Logger, opt options) error {
	if err := freezer.Refuse(opt.PID); err != nil {
		return err
	}
	if len(opt.Command) == 0 {
		if cli.IsTerminal(out) {
			return cli.Usage(fmt.Errorf("standard output is a terminal; write the stream to the next stage: freeze PID | vmadump | …"))
		}
		if err := stage.Protect(out, log); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go onSignal(cancel)
	f := &frozen{options: opt, log: log, out: out, tracer: tracer.New()}
	defer f.tracer.Close()
	var err error
	if f.server, err = lease.NewServer(); err != nil {
		return err
	}
	defer f.server.Close()
	if err := f.freeze(ctx); err != nil {
		return err
	}
	end, err := f.hold(ctx, cancel)
	return errors.Join(err, f.letGo(end))
}

func onSignal(cancel context.CancelCauseFunc) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT)
	cancel(fmt.Errorf("interrupted by %s", <-c))
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

// end is how the holding of a tree ended.
type end struct {
	lease.Outcome
	status int // of the command
}

// hold writes the stream and waits until nobody needs the tree any more.
func (f *frozen) hold(ctx context.Context, cancel context.CancelCauseFunc) (end, error) {
	wait := lease.WaitOptions{Out: int(f.out.Fd()), Idle: f.Timeout}
	var ended chan error
	if len(f.Command) > 0 {
		var err error
		if ended, err = f.start(cancel); err != nil {
			return end{Outcome: lease.Outcome{Failure: err.Error()}}, nil
		}
		wait.Command, wait.Out = true, -1
	}
	if err := f.write(); err != nil {
		if errors.Is(err, unix.EPIPE) {
			err = fmt.Errorf("nobody reads the stream")
		}
		return f.finish(lease.Outcome{Failure: err.Error()}, ended), nil
	}
	if f.cmd == nil && !stage.IsPipe(f.out) {
		return end{}, nil // nobody can follow
	}
	return f.finish(f.server.Wait(ctx, wait), ended), nil
}

// finish waits for the command, if there is one.
func (f *frozen) finish(o lease.Outcome, ended chan error) end {
	if f.cmd == nil {
		return end{Outcome: o}
	}
	if o.Failure != "" {
		f.out.Close() // no stage must wait for more
	}
	err := <-ended
	e := end{Outcome: o, status: f.cmd.ProcessState.ExitCode()}
	switch {
	case err != nil && o.Failure == "":
		e.Failure = fmt.Sprintf("%s: %s", f.Command[0], err)
	case o.Failure == "" && !o.Complete:
		e.Failure = fmt.Sprintf("%s ended without a complete image", f.Command[0])
	}
	return e
}

// start runs the command with the stream as its input.
func (f *frozen) start(cancel context.CancelCauseFunc) (chan error, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	f.cmd = exec.Command(f.Command[0], f.Command[1:]...)
	f.cmd.Stdin, f.cmd.Stdout, f.cmd.Stderr = r, os.Stdout, os.Stderr
	f.out = w
	if err := f.cmd.Start(); err != nil {
		f.cmd = nil
		return nil, err
	}
	ended := make(chan error, 1)
	go func() {
		ended <- f.cmd.Wait()
		cancel(lease.ErrCommandEnded)
	}()
	return ended, nil
}

// write writes freeze's own records.
func (f *frozen) write() error {
	h, err := freezer.Header(f.PID, cli.Version)
	if err != nil {
		return err
	}
	start, err := lease.StartTime(os.Getpid())
	if err != nil {
		return err
	}
	h.Lease = &record.Lease{Pid: int32(os.Getpid()), StartTime: start, Fd: int32(f.server.FD())}
	w := record.NewWriter(f.out)
	if err := w.Add(&record.Record{Body: &record.Record_Header{Header: h}}, nil); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := f.tracer.Do(func(p *tracer.Ptrace) error {
		return f.tree.Collect(p, func(r *record.Record) error { return w.Add(r, nil) })
	}); err != nil {
		return err
	}
	if err := w.EndStage("freeze", cli.Version); err != nil {
		return err
	}
	if f.cmd == nil && !stage.IsPipe(f.out) {
		return w.Flush()
	}
	return w.Mark()
}

// letGo does with the tree what --then says, if all went well.
func (f *frozen) letGo(e end) error {
	good := e.Failure == "" && e.Complete && (e.OnDisk || f.cmd != nil)
	then := f.Then
	if !good {
		then = "thaw"
	}
	err := f.tracer.Do(func(p *tracer.Ptrace) error {
		switch then {
		case "kill":
			return f.tree.Kill(p)
		case "stop":
			return f.tree.Stop(p)
		}
		return f.tree.Thaw(p)
	})
	switch {
	case err != nil:
		return err
	case e.Failure != "":
		err = fmt.Errorf("%s; task %d runs on", e.Failure, f.PID)
	case good || f.Then == "thaw":
		return nil
	case e.Complete:
		err = fmt.Errorf("the image is complete but went to a pipe, and only its receiver knows whether it arrived (use freeze --then %s %d -- COMMAND); task %d runs on", f.Then, f.PID, f.PID)
	default:
		err = fmt.Errorf("no complete image was written; task %d runs on", f.PID)
	}
	if f.cmd != nil && e.status > 0 {
		return &cli.ExitError{Code: e.status, Err: err}
	}
	return err
}
