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

// rebuild is harness.Rewritten, with the number of the stage that each record is
// of.
func rebuild(t *testing.T, stream []byte, change func(stage int, r *record.Record) bool) []byte {
	t.Helper()
	stage := 0
	return harness.Rewritten(t, stream, func(r *record.Record) bool {
		of := stage
		if r.GetEndStage() != nil {
			stage++
		}
		return change(of, r)
	})
}
