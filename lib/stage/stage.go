package stage

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"floe/lib/cli"
	"floe/lib/image"
	"floe/lib/lease"
	"floe/lib/record"
)

// Options of a stage.
type Options struct {
	Name  string
	Needs []string // stages that must have been before it
	Last  bool     // it ends the stream (pagedump)
	File  string   // where the output goes; empty or -: to out
	Into  *File    // or this file, which the caller removes when a signal comes
	// Keep tells what Context.Image is to have besides the header, the tasks and
	// the ends of stages. All else is passed on as it comes, and no stage holds it.
	// Nil: nothing. Tasks that a stage does not keep as they are lack what is long
	// in them: signal actions, limits, pending signals, timers.
	Keep  func(*record.Record) bool
	Index func() *record.Index     // with Last
	Check func(*image.Image) error // with Last: of the whole input, before anything is collected
	Log   *cli.Logger
}

// Context is what a stage works with.
type Context struct {
	context.Context
	Image  *image.Image
	Writer *record.Writer
	Out    *Outlet // that Writer writes to
	Log    *cli.Logger
	p      *progress
}

// Step tells that the work goes on, where that is seen neither by records nor by
// what is written.
func (c *Context) Step() { c.p.step(1) }

// Run runs a stage: collect adds its records. The error has the exit status
// that package cli documents.
func Run(ctx context.Context, opt Options, in, out *os.File, collect func(*Context) error) error {
	file := opt.Into
	if file == nil {
		var err error
		if file, err = OpenFile(opt.File, opt.Log); err != nil {
			return err
		}
		if file != nil {
			file.AbortOnSignal()
		}
	}
	if file != nil {
		defer file.Abort()
		out = file.File
	}
	if err := checkEnds(in, out, opt.Log); err != nil {
		return err
	}
	p := &progress{}
	outlet := newOutlet(out, p)
	p.records = record.NewWriter(outlet)
	s := &run{Options: opt, file: file, in: in, threads: threads{}, c: &Context{Context: ctx, Image: image.New(), Writer: p.records, Out: outlet, Log: opt.Log, p: p}}
	s.c.Image.WithoutPipeData = true // no stage restores it
	err := s.do(collect)
	if errors.Is(err, unix.EPIPE) {
		err = fmt.Errorf("the next stage is gone: %w", err)
	}
	if s.lease != nil {
		s.silence()
		if err != nil && !s.said {
			kind := lease.Failed
			if s.cut {
				kind = lease.Cut
			}
			_ = s.lease.Verdict(kind, err.Error())
		}
		s.lease.Close()
	}
	return err
}

// run is a stage at work.
type run struct {
	Options
	file    *File // nil: Context.Out is the caller's
	in      *os.File
	c       *Context
	lease   *lease.Client
	silence func() // ends the reports to freeze
	refused error  // why nothing can be added: no lease, or no frozen tree
	said    bool   // the verdict
	cut     bool   // the input ended early
	threads threads
	tree    *tree // once all tasks are known
}

func (s *run) do(collect func(*Context) error) error {
	if err := s.read(); err != nil {
		return err
	}
	if err := collect(s.c); err != nil {
		return s.notFrozen(err)
	}
	if err := s.tree.recheck(); err != nil {
		return s.notFrozen(err)
	}
	if err := s.c.Writer.EndStage(s.Name, cli.Version); err != nil {
		return err
	}
	if s.Last {
		return s.finish()
	}
	return s.pass()
}

// watch looks at the tree as soon as its tasks are known, while the stages
// before this one are at work.
func (s *run) watch() {
	s.tree = watch(s.c.Image, s.threads)
	if err := s.tree.check(); err != nil {
		s.refused = s.notFrozen(err)
	}
}

// notFrozen is err, or that freeze is gone, which explains it.
func (s *run) notFrozen(err error) error {
	if s.lease.Over() && !errors.Is(err, unix.EPIPE) {
		return lease.ErrOver
	}
	return err
}

// order checks this stage's place in the pipeline.
func (s *run) order() error {
	if s.c.Image.Header == nil || len(s.c.Image.Tasks) == 0 {
		return fmt.Errorf("the stream has no tasks in it")
	}
	seen := map[string]bool{}
	for _, e := range s.c.Image.Stages {
		seen[e.Stage] = true
	}
	for _, n := range s.Needs {
		if !seen[n] {
			return fmt.Errorf("%s must come before %s in the pipeline", n, s.Name)
		}
	}
	return nil
}

// pass ends a stage that does not end the stream.
func (s *run) pass() error {
	if pipe, err := IsPipe(s.c.Out.File()); err != nil {
		return err
	} else if !pipe {
		if err := s.c.Writer.Flush(); err != nil {
			return err
		}
		return s.end(lease.Final)
	}
	// Before the mark: once that is out, the stages after this one may come to an
	// end, and the lease with them.
	if err := s.lease.Done(wrote(s.c.Writer.Ended())); err != nil {
		return err
	}
	if err := s.c.Writer.Mark(); err != nil {
		return err
	}
	s.said = true
	s.silence()
	if err := linger(s.in, s.c.Out.File(), s.lease); err != nil {
		return err
	}
	// At once: the others wait for that, and the end of a process takes its time.
	s.in.Close()
	s.c.Out.File().Close()
	return nil
}

// finish ends the stream.
func (s *run) finish() error {
	index := &record.Index{}
	if s.Index != nil {
		index = s.Index()
	}
	out := s.c.Out.File()
	durable := s.c.Image.Header.Lease.Durable
	pipe, err := IsPipe(out)
	if err != nil {
		return err
	}
	regular, err := isRegular(out)
	if err != nil {
		return err
	}
	if durable && pipe {
		// The end is held back until all else has been read: a tree that waits for
		// a reader who hangs goes on, and there is no whole image of it.
		if err := s.c.Writer.Flush(); err != nil {
			return err
		}
		if err := s.c.Out.drained(s.lease.FD()); err != nil {
			return err
		}
	}
	if s.lease.Over() {
		return lease.ErrOver // no image is whole without its end
	}
	if err := s.c.Writer.End(index); err != nil {
		return err
	}
	if !durable || !regular {
		return s.end(lease.Complete)
	}
	if err := s.persist(out); err != nil {
		return err
	}
	return s.verdict(lease.CompleteOnDisk)
}

// end gives a verdict that nothing of the tree depends on, and then the image its
// name.
func (s *run) end(k lease.Kind) error {
	if err := s.verdict(k); err != nil || s.file == nil {
		return err
	}
	return s.file.Commit()
}

func (s *run) verdict(k lease.Kind) error {
	s.said = true
	return s.lease.Verdict(k, "")
}
