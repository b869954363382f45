package badinput

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"floe/lib/record"
	"floe/tests/harness"
)

// sleeper is a process of little size that is not missed.
var sleeper = &harness.Victim{Name: "sleeper", Args: []string{"sh", "-c", "echo begin; cd /; exec sleep 1000 >/dev/null 2>&1"}}

var fixture struct {
	sync.Once
	image []byte
}

// wholeImage is the image of a sleeper that is dead by now.
func wholeImage(t *testing.T) []byte {
	t.Helper()
	fixture.Do(func() {
		v := harness.Launch(t, sleeper, nil)
		path := filepath.Join(harness.Scratch, "whole")
		v.Checkpoint(t, path, "")
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		fixture.image = b
	})
	if fixture.image == nil {
		t.Fatal("no image to damage")
	}
	return fixture.image
}

// frame is where a record stands, and what is in it.
type frame struct {
	record.Frame
	payload []byte
	end     int64 // of the payload
}

// frames takes a stream apart.
func frames(t *testing.T, stream []byte) []frame {
	t.Helper()
	r, err := record.NewReader(bytes.NewReader(stream))
	if err != nil {
		t.Fatal(err)
	}
	var out []frame
	for {
		f, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			t.Fatal(err)
		}
		if f.Record.GetMark() != nil {
			return out
		}
		payload, err := r.Payload()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, frame{*f, bytes.Clone(payload), f.PayloadOffset + int64(len(payload))})
	}
}

// rebuild writes a stream again, with right checksums, after change has had a
// look at every record; false leaves it out.
func rebuild(t *testing.T, stream []byte, change func(stage int, r *record.Record) bool) []byte {
	t.Helper()
	var b bytes.Buffer
	w := record.NewWriter(&b)
	stage := 0
	for _, f := range frames(t, stream) {
		if !change(stage, f.Record) {
			if f.Record.GetEndStage() != nil {
				stage++
			}
			continue
		}
		f.Record.Pad = nil
		var err error
		switch x := f.Record.Body.(type) {
		case *record.Record_EndStage:
			stage++
			// A stage has a writer of its own.
			err = w.EndStage(x.EndStage.Stage, x.EndStage.ToolVersion)
			w = next(t, w, &b)
		case *record.Record_Index:
			err = w.End(x.Index)
		case *record.Record_End:
		default:
			err = w.Add(f.Record, f.payload)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// next passes all that has been written through a new writer, as the next stage
// would.
func next(t *testing.T, w *record.Writer, b *bytes.Buffer) *record.Writer {
	t.Helper()
	if err := w.Mark(); err != nil {
		t.Fatal(err)
	}
	done := bytes.Clone(b.Bytes())
	b.Reset()
	n := record.NewWriter(b)
	for _, f := range frames(t, done) {
		if err := n.Pass(&f.Frame, f.payload); err != nil {
			t.Fatal(err)
		}
	}
	return n
}
