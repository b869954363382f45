package record

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// small is a complete stream of some hundred bytes.
func small(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	w := NewWriter(&b)
	for _, err := range []error{
		w.Add(&Record{Body: &Record_Header{&Header{Arch: "amd64", PageSize: 4096}}}, nil),
		w.Add(&Record{Body: &Record_Task{&Task{Pid: 7}}}, nil),
		w.EndStage("freeze", "1"),
		w.Add(&Record{Body: &Record_Pipe{&Pipe{PipeId: 1}}}, []byte("payload")),
		w.EndStage("fddump", "1"),
		w.End(&Index{}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// readFrames reads a sound stream to its end.
func readFrames(t *testing.T, b []byte, f func(*Frame)) {
	t.Helper()
	r, err := NewReader(bytes.NewReader(b))
	for err == nil {
		var fr *Frame
		if fr, err = r.Next(); err == nil {
			f(fr)
		}
	}
	if err != io.EOF {
		t.Fatal(err)
	}
}

func TestPassIsByteForByte(t *testing.T) {
	b := golden(t)
	r, err := NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := NewWriter(&out)
	for {
		f, err := r.Next()
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if got := w.Offset(); got != f.Offset {
			t.Fatalf("writer at %d, frame at %d", got, f.Offset)
		}
		payload, err := r.Payload()
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Pass(f, payload); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), b) {
		t.Fatal("a stream that was passed on is not the same")
	}
}

func TestFlushedFramesAreThere(t *testing.T) {
	pr, pw := io.Pipe()
	w := NewWriter(pw)
	done := make(chan error, 1)
	go func() {
		err := w.Add(&Record{Body: &Record_Header{&Header{Arch: "amd64"}}}, nil)
		if err == nil {
			err = w.Flush()
		}
		done <- err
	}()
	r, err := NewReader(pr)
	if err != nil {
		t.Fatal(err)
	}
	f, err := r.Next() // without anything following
	if err != nil || f.Record.GetHeader().GetArch() != "amd64" {
		t.Fatalf("%v, %v", f, err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// TestAligned tries every place that a frame can begin at.
func TestAligned(t *testing.T) {
	const align = 4096
	page := make([]byte, align)
	for start := range 2 * align {
		var out bytes.Buffer
		w := NewWriter(&out)
		w.off, w.crc = int64(align+start), 1
		rec := &Record{Body: &Record_Pages{&Pages{MmId: 1, Runs: []*Pages_Run{{Vaddr: 1 << 40, Pages: 1}}}}}
		if err := w.AddAligned(rec, page, align); err != nil {
			t.Fatalf("frame at %d: %v", start, err)
		}
		if w.Offset()%align != 0 {
			t.Fatalf("frame at %d: payload ends at %d", start, w.Offset())
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if got := int64(align+start) + int64(out.Len()); got != w.Offset() {
			t.Fatalf("wrote up to %d, accounted for %d", got, w.Offset())
		}
		if out.Len() > 2*align+align/2 {
			t.Fatalf("frame at %d: %d bytes for a page", start, out.Len())
		}
	}
}

// TestFrameFor writes a payload past the writer, as parallel workers do.
func TestFrameFor(t *testing.T) {
	payload := bytes.Repeat([]byte("x"), 4096)
	build := func(own bool) []byte {
		var out bytes.Buffer
		w := NewWriter(&out)
		rec := &Record{Body: &Record_Pages{&Pages{MmId: 1}}}
		errs := []error{w.Add(&Record{Body: &Record_Header{&Header{Arch: "amd64"}}}, nil)}
		if own {
			errs = append(errs, w.Flush())
			at := w.Offset()
			frame, off, err := w.FrameFor(rec, len(payload), Checksum(payload), 4096)
			if off != at+int64(len(frame)) || off%4096 != 0 || w.Offset() != off+4096 {
				t.Fatalf("frame of %d bytes at %d, payload at %d, next at %d", len(frame), at, off, w.Offset())
			}
			out.Write(frame)
			out.Write(payload)
			errs = append(errs, err)
		} else {
			errs = append(errs, w.AddAligned(rec, payload, 4096))
		}
		errs = append(errs, w.EndStage("x", ""), w.End(&Index{}))
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	a, b := build(false), build(true)
	if !bytes.Equal(a, b) {
		t.Fatal("FrameFor and AddAligned give different streams")
	}
	readFrames(t, a, func(*Frame) {})
}

func TestMark(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(&out)
	if err := errors.Join(w.Add(&Record{Body: &Record_Header{&Header{Arch: "amd64"}}}, nil), w.EndStage("freeze", "1")); err != nil {
		t.Fatal(err)
	}
	at := w.Offset()
	if err := w.Mark(); err != nil {
		t.Fatal(err)
	}
	if w.Offset() != at {
		t.Errorf("a mark moved the offset from %d to %d", at, w.Offset())
	}
	for _, c := range []struct{ more, want string }{
		{"", fmt.Sprintf("the stream ends early, at offset %d (last good record: end_stage at ", at)},
		{"x", "more follows the end-of-input mark"},
	} {
		r, err := NewReader(strings.NewReader(out.String() + c.more))
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range []string{"header", "end_stage", "mark"} {
			f, err := r.Next()
			if err != nil || f.Record.Kind() != kind {
				t.Fatalf("%v, %v: want %s", f, err, kind)
			}
		}
		if _, err := r.Next(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q after the mark: %v", c.more, err)
		}
	}
}

func TestWriterRefuses(t *testing.T) {
	w := NewWriter(io.Discard)
	if err := w.Add(&Record{Body: &Record_Pipe{&Pipe{}}}, make([]byte, MaxPayload+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a payload too large: %v", err)
	}
	if err := w.Add(&Record{Body: &Record_Mm{&Mm{Auxv: make([]byte, MaxRecord)}}}, nil); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a record too large: %v", err)
	}
	many := make([]*SigInfo, MaxDecoded/64)
	for i := range many {
		many[i] = &SigInfo{}
	}
	if err := w.Add(&Record{Body: &Record_Task{&Task{Pending: many}}}, nil); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a record that no reader would decode: %v", err)
	}
	if err := w.Add(&Record{Body: &Record_Task{&Task{Pid: 1}}}, nil); err != nil {
		t.Fatal(err)
	}
	if err := w.End(&Index{}); err == nil {
		t.Error("an end though the stage is open")
	}
}
