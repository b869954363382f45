package harness

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"

	"floe/lib/record"
)

// Rewrite writes an image again, with right checksums, once change has seen
// every record; a record for which it says false is left out.
func Rewrite(t testing.TB, path string, change func(*record.Record) bool) {
	t.Helper()
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, Rewritten(t, old, change), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Rewritten is Rewrite for a stream in memory.
func Rewritten(t testing.TB, stream []byte, change func(*record.Record) bool) []byte {
	t.Helper()
	b, err := rewrite(stream, change)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// rewrite passes a stream through one writer a stage, as the programs do.
func rewrite(stream []byte, change func(*record.Record) bool) ([]byte, error) {
	var done bytes.Buffer
	w := record.NewWriter(&done)
	r, err := record.NewReader(bytes.NewReader(stream))
	if err != nil {
		return nil, err
	}
	for {
		f, err := r.Next()
		if errors.Is(err, io.EOF) {
			return done.Bytes(), w.Flush()
		} else if err != nil {
			return nil, err
		}
		payload, err := r.Payload()
		if err != nil {
			return nil, err
		}
		if !change(f.Record) {
			continue
		}
		f.Record.Pad = nil
		switch x := f.Record.Body.(type) {
		case *record.Record_EndStage:
			if err = w.EndStage(x.EndStage.Stage, x.EndStage.ToolVersion); err == nil {
				w, err = continued(w, &done)
			}
		case *record.Record_Index:
			err = w.End(x.Index)
		case *record.Record_End:
		default:
			err = w.Add(f.Record, payload)
		}
		if err != nil {
			return nil, err
		}
	}
}

// continued is the writer of the next stage.
func continued(w *record.Writer, done *bytes.Buffer) (*record.Writer, error) {
	if err := w.Mark(); err != nil {
		return nil, err
	}
	r, err := record.NewReader(bytes.NewReader(bytes.Clone(done.Bytes())))
	if err != nil {
		return nil, err
	}
	done.Reset()
	next := record.NewWriter(done)
	for {
		f, err := r.Next()
		if err != nil || f.Record.GetMark() != nil {
			return next, err
		}
		payload, err := r.Payload()
		if err != nil {
			return nil, err
		}
		if err := next.Pass(f, payload); err != nil {
			return nil, err
		}
	}
}
