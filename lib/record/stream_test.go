package record

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

func small(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	w := NewWriter(&b)
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ok(w.Add(&Record{Body: &Record_Header{&Header{Arch: "amd64", PageSize: 4096}}}, nil))
	ok(w.Add(&Record{Body: &Record_Task{&Task{Pid: 7}}}, nil))
	ok(w.EndStage("freeze", "1"))
	ok(w.AddAligned(&Record{Body: &Record_Pages{&Pages{MmId: 1, Runs: []*Pages_Run{{Vaddr: 4096, Pages: 1}}}}}, make([]byte, 4096), 4096))
	ok(w.EndStage("pagedump", "1"))
	ok(w.End(&Index{}))
	return b.Bytes()
}

func readAll(b []byte) error {
	r, err := NewReader(bytes.NewReader(b))
	for err == nil {
		_, err = r.Next()
	}
	return err
}

func TestRoundTrip(t *testing.T) {
	b := small(t)
	if err := readAll(b); err != io.EOF {
		t.Fatal(err)
	}
	r, _ := NewReader(bytes.NewReader(b))
	for {
		f, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if f.Record.GetPages() != nil {
			if f.PayloadOffset%4096 != 0 {
				t.Fatalf("payload at %d", f.PayloadOffset)
			}
			return
		}
	}
}

func TestEveryFlippedByteIsFound(t *testing.T) {
	b := small(t)
	for i := range b {
		c := bytes.Clone(b)
		c[i] ^= 0x10
		if err := readAll(c); err == nil || err == io.EOF {
			t.Fatalf("byte %d of %d flipped: %v", i, len(b), err)
		}
	}
}

func TestEveryCutIsFound(t *testing.T) {
	b := small(t)
	for n := range b {
		if err := readAll(b[:n]); err == nil || err == io.EOF {
			t.Fatalf("cut to %d of %d bytes: %v", n, len(b), err)
		}
	}
	if err := readAll(append(bytes.Clone(b), 0)); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("a byte too many: %v", err)
	}
}
