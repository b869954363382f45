package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"floe/lib/cli"
	"floe/lib/image"
	"floe/lib/record"
)

// source reads an image, one record after another. It is the reader of the file
// that record.Reader gets.
type source struct {
	f     *os.File
	name  string
	size  int64 // of a regular file, from where the image begins; or -1
	pos   int64 // bytes that were read or passed over
	err   error // of a read that failed, or nil
	im    *image.Image
	keep  bool // im gets all records, not just the header and the ends
	whole bool // pages are read, and given to who visits
	buf   []byte

	records uint64
	unknown uint64 // records with something that this version does not know, and must
	stopped int64  // where the stage ended that was read last; 0 after another record
}

func newSource(f *os.File, name string) *source {
	s := &source{f: f, name: name, size: -1, im: image.New()}
	s.im.WithoutPipeData = true // it shows how much there is
	if st, err := f.Stat(); err == nil && st.Mode().IsRegular() {
		if at, err := f.Seek(0, io.SeekCurrent); err == nil {
			s.size = st.Size() - at
		}
	}
	return s
}

func (s *source) Read(b []byte) (int, error) {
	n, err := s.f.Read(b)
	s.pos += int64(n)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// Seek only ever passes over payloads: whence is io.SeekCurrent.
func (s *source) Seek(n int64, whence int) (int64, error) {
	at, err := s.f.Seek(n, whence)
	if err != nil {
		s.err = err
		return at, err
	}
	s.pos += n
	return at, nil
}

// frame is a record, and its payload where that was wanted.
type frame struct {
	*record.Frame
	payload []byte
}

// errUnfinished says that a stage ended, and no other one came after it.
var errUnfinished = errors.New("the stream is not finished")

// each calls visit with the records, one after another, up to the end of the
// stream, or to where a pipe's last stage has put its mark.
func (s *source) each(visit func(frame) error) error {
	r, err := record.NewReader(s)
	if err != nil {
		return err
	}
	for {
		f, err := r.Next()
		switch {
		case err == io.EOF:
			return nil
		case errors.Is(err, io.ErrUnexpectedEOF) && s.stopped != 0 && s.pos == s.stopped:
			return errUnfinished
		case err != nil:
			return err
		case f.Record.GetMark() != nil:
			return errUnfinished
		}
		payload, err := s.payload(r, f)
		if err != nil {
			return err
		}
		if err := s.note(f, payload); err != nil {
			return err
		}
		if err := visit(frame{f, payload}); err != nil {
			return fmt.Errorf("record at offset %d: %w", f.Offset, err)
		}
	}
}

// payload reads a payload that somebody needs. All others are read and verified
// by Next, but for pages in a regular file.
func (s *source) payload(r *record.Reader, f *record.Frame) ([]byte, error) {
	switch f.Record.Body.(type) {
	case *record.Record_Pages:
		if s.whole {
			return s.read(r, int(f.Record.PayloadLen))
		}
		if end := f.PayloadOffset + int64(f.Record.PayloadLen); end <= s.size {
			return nil, r.SkipPayload(s)
		}
	case *record.Record_Pipe:
		if s.keep {
			return s.read(r, int(f.Record.PayloadLen))
		}
	}
	return nil, nil
}

// read reads a payload of n bytes. A bad checksum comes with the last of them.
func (s *source) read(r *record.Reader, n int) ([]byte, error) {
	if cap(s.buf) < n {
		s.buf = nil // before the new one is there
		s.buf = make([]byte, n)
	}
	for from, at := r.PayloadReader(), 0; at < n; {
		k, err := from.Read(s.buf[at:n])
		if err != nil {
			return nil, err
		}
		at += k
	}
	return s.buf[:n], nil
}

// note counts a record, and keeps it.
func (s *source) note(f *record.Frame, payload []byte) error {
	s.records++
	s.stopped = 0
	rec := f.Record
	switch rec.Body.(type) {
	case *record.Record_EndStage:
		s.stopped = f.PayloadOffset
	case *record.Record_Header, *record.Record_End:
	default:
		if !s.keep && s.im.Header != nil {
			return s.unknownIn(f, nil)
		}
	}
	return s.unknownIn(f, s.im.Add(rec, payload))
}

// unknownIn counts a record that has something new in it, which must be known
// to restore the image, and returns any other error.
func (s *source) unknownIn(f *record.Frame, err error) error {
	if err != nil && !errors.Is(err, image.ErrUnknown) {
		return err
	}
	if err != nil || f.Unknown && !f.Record.Optional {
		s.unknown++
	}
	return nil
}

// again is what to do about an image that is damaged.
const again = "restore would refuse it; take another copy, or checkpoint again"

// judge says what is wrong with an image that was read up to an error, or to
// its end.
func (s *source) judge(err error) error {
	missing := s.im.Missing()
	switch {
	case s.err != nil:
		return s.err // it names the file
	case errors.Is(err, record.ErrNotFloe):
		err = fmt.Errorf("%w; imgcat reads what freeze and the stages after it write", err)
	case errors.Is(err, errUnfinished) && len(missing) > 0:
		err = fmt.Errorf("%w: missing %s; run them after the stages that were there", err, strings.Join(missing, ", "))
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, errUnfinished):
		err = fmt.Errorf("%w; missing %s; %s", err, strings.Join(append(missing, "the end record"), ", "), again)
	case err != nil && s.records == 0 && !errors.Is(err, record.ErrCorrupt):
		// Another version's: the error says what to do.
	case err != nil:
		err = fmt.Errorf("%w; %s", err, again)
	case len(missing) > 0:
		err = fmt.Errorf("the image is not complete: missing %s; put them into the pipeline", strings.Join(missing, ", "))
	case s.unknown > 0:
		err = fmt.Errorf("the image has %d records with something new in them: %w", s.unknown, image.ErrUnknown)
	default:
		return nil
	}
	return cli.BadInput(fmt.Errorf("%s: %w", s.name, err))
}

// references makes the outcome of the checks of a whole image an error.
func (s *source) references(err error) error {
	if err == nil {
		return nil
	}
	return cli.BadInput(fmt.Errorf("%s: %w; %s", s.name, err, again))
}
