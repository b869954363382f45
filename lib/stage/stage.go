// Package stage is what every stage between freeze and the end of the pipeline
// has in common: it reads a stream, passes it on as it comes, adds its own
// records while the tree is frozen, and takes part in the lease.
package stage

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	Index func() *record.Index
	Log   *cli.Logger
}

// Context is what a stage works with.
type Context struct {
	context.Context
	Image  *image.Image
	Writer *record.Writer
	In     *os.File
	Out    *os.File
	Log    *cli.Logger
}

// Run runs a stage: collect adds its records.
func Run(ctx context.Context, opt Options, in, out *os.File, collect func(*Context) error) error {
	if err := checkEnds(in, out, opt.Log); err != nil {
		return err
	}
	s := &run{Options: opt, c: &Context{Context: ctx, Image: image.New(), Writer: record.NewWriter(out), In: in, Out: out, Log: opt.Log}}
	defer s.leave()
	err := s.do(collect)
	if err != nil && s.lease != nil && !s.said {
		_ = s.lease.Verdict(lease.Failed, err.Error())
	}
	if errors.Is(err, unix.EPIPE) {
		return fmt.Errorf("the next stage is gone: %w", err)
	}
	return err
}

type run struct {
	Options
	c     *Context
	lease *lease.Client
	said  bool // the verdict
}

func (s *run) leave() {
	if s.lease != nil {
		s.lease.Close()
	}
}

func (s *run) do(collect func(*Context) error) error {
	if err := s.read(); err != nil {
		return err
	}
	if err := s.order(); err != nil {
		return cli.BadInput(err)
	}
	if err := checkFrozen(s.c.Image); err != nil {
		return err
	}
	if err := collect(s.c); err != nil {
		return err
	}
	if err := checkFrozen(s.c.Image); err != nil {
		return err
	}
	if err := s.c.Writer.EndStage(s.Name, cli.Version); err != nil {
		return err
	}
	if s.Last {
		return s.finish()
	}
	return s.pass()
}

// read takes the input up to the mark, and passes it on.
func (s *run) read() error {
	r, err := record.NewReader(s.c.In)
	if err != nil {
		return cli.BadInput(err)
	}
	for {
		f, err := r.Next()
		if err == io.EOF {
			return cli.BadInput(fmt.Errorf("the stream is a finished image; a stage reads the stream of a running freeze"))
		} else if err != nil {
			return cli.BadInput(err)
		}
		if f.Record.GetMark() != nil {
			return nil
		}
		payload, err := r.Payload()
		if err != nil {
			return cli.BadInput(err)
		}
		if err := s.frame(f, payload); err != nil {
			return err
		}
		if r.Buffered() == 0 {
			if err := s.c.Writer.Flush(); err != nil {
				return err
			}
		}
	}
}

func (s *run) frame(f *record.Frame, payload []byte) error {
	if err := s.c.Image.Add(f.Record, payload); err != nil && !errors.Is(err, image.ErrUnknown) {
		return cli.BadInput(err)
	}
	if h := f.Record.GetHeader(); h != nil {
		var err error
		if s.lease, err = lease.Join(h.Lease, s.Name); err != nil {
			return err
		}
	}
	return s.c.Writer.Pass(f, payload)
}

// order checks this stage's place in the pipeline.
func (s *run) order() error {
	if s.c.Image.Header == nil {
		return fmt.Errorf("the stream has no header")
	}
	seen := map[string]bool{}
	for _, e := range s.c.Image.Stages {
		seen[e.Stage] = true
	}
	if seen[s.Name] {
		return fmt.Errorf("%s is in this pipeline twice", s.Name)
	}
	for _, n := range s.Needs {
		if !seen[n] {
			return fmt.Errorf("%s must come before %s in the pipeline", n, s.Name)
		}
	}
	return nil
}

// pass ends a stage in the middle: it stays until nobody needs it.
func (s *run) pass() error {
	if !IsPipe(s.c.Out) {
		if err := s.c.Writer.Flush(); err != nil {
			return err
		}
		s.said = true
		return s.lease.Verdict(lease.Final, "")
	}
	s.said = true
	if err := s.lease.Verdict(lease.Done, ""); err != nil {
		return err
	}
	if err := s.c.Writer.Mark(); err != nil {
		return err
	}
	return linger(s.c.In, s.c.Out)
}

// finish ends the stream.
func (s *run) finish() error {
	index := &record.Index{}
	if s.Index != nil {
		index = s.Index()
	}
	if err := s.c.Writer.End(index); err != nil {
		return err
	}
	kind := lease.Complete
	if st, err := s.c.Out.Stat(); err == nil && st.Mode().IsRegular() {
		if err := s.c.Out.Sync(); err != nil {
			return fmt.Errorf("the image may not be on disk: %w", err)
		}
		kind = lease.CompleteOnDisk
	}
	s.said = true
	return s.lease.Verdict(kind, "")
}
