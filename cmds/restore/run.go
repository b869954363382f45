package main

import (
	"context"
	"errors"
	"io"
	"os"

	"floe/lib/attr"
	"floe/lib/cli"
	"floe/lib/image"
	"floe/lib/pages"
	"floe/lib/record"
	"floe/lib/restorer"
	"floe/lib/verdict"
)

// options are restore's flags, as run needs them.
type options struct {
	Detach     bool
	Pidfile    string
	ForceFiles bool
	VDSO       string
	HostClocks bool
	Inherit    []string
	Cgroups    string
}

func (opt options) restorer(in *os.File, log *cli.Logger) restorer.Options {
	return restorer.Options{
		Detach: opt.Detach, ForceFiles: opt.ForceFiles, VDSO: restorer.VDSOMode(opt.VDSO), HostClocks: opt.HostClocks, Inherit: opt.Inherit, Cgroups: attr.CgroupMode(opt.Cgroups), StdinIsImage: in.Fd() == 0,
		Warnf: log.Warnf, Verbosef: log.Verbosef,
	}
}

// run reads an image from in, brings its tree back and, unless opt.Detach,
// stays with it until its root ends.
func run(ctx context.Context, sig *signals, in *os.File, log *cli.Logger, opt options) error {
	src, err := readRecords(ctx, in)
	if err != nil {
		return err
	}
	front := !opt.Detach
	if front {
		sig.catch(forwarded...)
	}
	pid := src.im.Tasks[0].Pid
	if err := sig.begin(); err != nil {
		return err
	}
	file, err := newPidfile(opt.Pidfile, pid)
	if err != nil {
		return err
	}
	defer file.drop()
	ropt := opt.restorer(in, log)
	ropt.Commit = sig.commit
	progress := log.Progress("restore", src.size())
	root, err := restorer.Restore(ctx, src.im, ropt, func(ctx context.Context, opt pages.LoadOptions) (*pages.Guards, error) {
		opt.Progress = progress.Add
		return src.load(ctx, opt)
	})
	progress.Done()
	if err != nil {
		return err
	}
	log.Verbosef("restored %d tasks, root %d", len(src.im.Tasks), pid)
	if err := file.show(pid); err != nil {
		log.Warnf("the tree runs, but: pid file: %v", err)
	}
	if front {
		return newForeground(sig, root, src.im.Tasks[0]).wait()
	}
	return nil
}

// source is an image that has been read up to the contents of its pages.
type source struct {
	in    *os.File
	r     *record.Reader
	im    *image.Image
	first *record.Frame // the first Pages record; nil: there is none
}

// readRecords reads an image up to its first Pages record.
func readRecords(ctx context.Context, in *os.File) (*source, error) {
	stream, err := interruptible(ctx, in)
	if err != nil {
		return nil, err
	}
	r, err := record.NewReader(stream)
	if err != nil {
		return nil, cli.BadInput(err)
	}
	r.RefuseUnknown()
	s := &source{in: in, r: r, im: image.New()}
	for {
		f, err := r.Next()
		if err == io.EOF {
			break
		} else if err != nil {
			return nil, cli.BadInput(err)
		}
		if f.Record.GetPages() != nil {
			s.first = f
			break
		}
		payload, err := r.Payload()
		if err != nil {
			return nil, cli.BadInput(err)
		}
		if err := s.add(f.Record, payload); err != nil {
			return nil, cli.BadInput(err)
		}
	}
	if err := verdict.Check(s.im); err != nil {
		return nil, cli.BadInput(err)
	}
	return s, nil
}

var errUnfinished = errors.New("the stream is that of a pipeline that has not ended: pagedump is missing from it")

func (s *source) add(rec *record.Record, payload []byte) error {
	if rec.GetMark() != nil {
		return errUnfinished
	}
	return s.im.Add(rec, payload)
}

// size is the bytes to come, or 0 when only a pipe knows.
func (s *source) size() int64 {
	if st, err := s.in.Stat(); err == nil && st.Mode().IsRegular() {
		return st.Size()
	}
	return 0
}

// load brings the contents of all pages in, and verifies the image to its end.
func (s *source) load(ctx context.Context, opt pages.LoadOptions) (*pages.Guards, error) {
	if s.first == nil {
		return &pages.Guards{}, badInput(s.im.Validate())
	}
	load := func() (*pages.Guards, error) {
		layout := pages.ImageLayout(s.im)
		if s.size() > 0 {
			return pages.LoadFile(ctx, s.in, s.r, s.first, layout, s.add, opt)
		}
		return pages.LoadStream(ctx, s.r, s.first, layout, s.add, opt)
	}
	guards, err := load()
	if err != nil {
		return nil, err
	}
	return guards, badInput(s.im.Validate())
}

func badInput(err error) error {
	if err == nil {
		return nil
	}
	return cli.BadInput(err)
}
