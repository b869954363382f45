package stage

import (
	"errors"
	"fmt"
	"io"
	"runtime"

	"golang.org/x/sys/unix"

	"floe/lib/cli"
	"floe/lib/clocks"
	"floe/lib/image"
	"floe/lib/lease"
	"floe/lib/record"
)

// errFinished says that the input is not a pipeline's.
var errFinished = errors.New("the stream is a finished image; a stage reads the stream of a running freeze")

// read takes the input up to the mark, and passes it on.
func (s *run) read() error {
	in := &counter{r: inlet{s.in, s.c.p}}
	r, err := record.NewReader(in)
	if err != nil {
		return s.badInput(err, in)
	}
	ended := false // the last record ended a stage
	for {
		f, err := r.Next()
		if err == io.EOF {
			return cli.BadInput(errFinished)
		} else if err != nil {
			return s.badInput(err, in)
		}
		if f.Record.GetMark() != nil {
			return s.atMark(ended, r.Buffered())
		}
		payload, err := r.Payload()
		if err != nil {
			return s.badInput(err, in)
		}
		if err := s.frame(f, payload); err != nil {
			return err
		}
		ended = f.Record.GetEndStage() != nil
		if ended && s.tree == nil && s.refused == nil {
			s.watch()
		}
		if r.Buffered() == 0 && s.refused == nil && !s.Last { // the next stage may begin with it
			if err := s.c.Writer.Flush(); err != nil {
				return err
			}
		}
	}
}

// badInput explains a stream that can't be read.
func (s *run) badInput(err error, in *counter) error {
	switch {
	case in.err != nil && in.err != io.EOF:
		return fmt.Errorf("standard input: %w", in.err)
	case in.n == 0:
		err = fmt.Errorf("the input is empty: the stage before %s has failed", s.Name)
	case errors.Is(err, io.ErrUnexpectedEOF):
		s.cut = true
		err = fmt.Errorf("%w; the stage before %s has failed, or was killed", err, s.Name)
	}
	return cli.BadInput(err)
}

// atMark checks what can be known only now.
func (s *run) atMark(ended bool, more int) error {
	switch {
	case !ended:
		return cli.BadInput(fmt.Errorf("the stage before %s has not ended its records", s.Name))
	case more > 0:
		return cli.BadInput(errMore)
	}
	if err := s.order(); err != nil {
		return cli.BadInput(err)
	}
	if s.refused != nil {
		return s.refused
	}
	if s.Last {
		return s.whole()
	}
	return s.c.Writer.Flush() // the next stage reads this meanwhile
}

// frame keeps a record and passes it on.
func (s *run) frame(f *record.Frame, payload []byte) error {
	if err := s.keep(f.Record, payload); err != nil && !errors.Is(err, image.ErrUnknown) {
		return cli.BadInput(err)
	}
	switch b := f.Record.Body.(type) {
	case *record.Record_Header:
		if err := s.header(b.Header); err != nil {
			return err
		}
	case *record.Record_Task, *record.Record_Thread:
		if s.tree != nil {
			return cli.BadInput(errors.New("the stream has a task after those that freeze has ended"))
		}
	case *record.Record_EndStage:
		if b.EndStage.Stage == s.Name {
			return cli.BadInput(fmt.Errorf("%s is in this pipeline twice", s.Name))
		}
	case *record.Record_Pages, *record.Record_Index:
		return cli.BadInput(fmt.Errorf("pagedump has ended this stream: %s must come before it", s.Name))
	}
	if s.refused != nil {
		return nil
	}
	return s.c.Writer.Pass(f, payload)
}

// keep keeps what the stage needs of a record.
func (s *run) keep(rec *record.Record, payload []byte) error {
	whole := s.Keep != nil && s.Keep(rec)
	switch b := rec.Body.(type) {
	case *record.Record_Header, *record.Record_EndStage:
		whole = true
	case *record.Record_Task:
		if t := b.Task; !whole {
			t.Actions, t.Limits, t.Pending, t.Itimers, t.PosixTimers = nil, nil, nil, nil, nil
		}
		whole = true
	case *record.Record_Thread:
		if err := s.threads.add(b.Thread); err != nil {
			return err
		}
	}
	if !whole && s.c.Image.Header != nil {
		return nil
	}
	return s.c.Image.Add(rec, payload)
}

// header joins the lease. Where that can't be, the rest of the stream is still
// read, but not passed on: if it is damaged, that is the better thing to say.
func (s *run) header(h *record.Header) error {
	if h.Arch != runtime.GOARCH {
		return cli.BadInput(fmt.Errorf("the stream is of %q, this program of %q", h.Arch, runtime.GOARCH))
	}
	if s.refused = checkHere(h); s.refused == nil {
		if s.lease, s.refused = lease.Join(h.Lease, s.Name); s.lease != nil {
			s.silence = s.lease.Report(s.c.p.look)
		}
	}
	return nil
}

// checkHere tells a stream from elsewhere: its process ids mean nothing here.
func checkHere(h *record.Header) error {
	boot, err := clocks.BootID()
	if err == nil && h.BootId != "" && boot != h.BootId {
		return fmt.Errorf("the stream comes from another machine, or from before a reboot; stages must run where freeze runs")
	}
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/ns/pid", &st); err == nil && h.PidnsInode != 0 && st.Ino != h.PidnsInode {
		return fmt.Errorf("the stream comes from another pid namespace; stages must run in that of freeze")
	}
	return nil
}

// counter counts what was read and keeps the error that ended it.
type counter struct {
	r   io.Reader
	n   int64
	err error
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	if err != nil {
		c.err = err
	}
	return n, err
}
