package record

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// TestUnknown has what a later minor version may add: who passes a stream on
// passes it on, who acts on it takes it only where it is optional.
func TestUnknown(t *testing.T) {
	field := protowire.AppendVarint(protowire.AppendTag(nil, 1000, protowire.VarintType), 1)
	wrongType := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "a pid in words")
	body := protowire.AppendString(protowire.AppendTag(nil, 120, protowire.BytesType), "new")
	small := protowire.AppendVarint(protowire.AppendTag(nil, 9, protowire.VarintType), 1)
	task := func() (*Record, *Task) {
		x := &Task{Pid: 1, Pending: []*SigInfo{{}}}
		return &Record{Body: &Record_Task{x}}, x
	}
	for _, c := range []struct {
		name    string
		set     func(*Record, *Task)
		unknown bool
	}{
		{"all known", func(*Record, *Task) {}, false},
		{"field of the record", func(r *Record, _ *Task) { r.unknown = small }, true},
		{"field of the body", func(_ *Record, x *Task) { x.unknown = field }, true},
		{"field with another type", func(_ *Record, x *Task) { x.unknown = wrongType }, true},
		{"field deep inside", func(_ *Record, x *Task) { x.Pending[0].unknown = field }, true},
		{"body", func(r *Record, _ *Task) { r.Body, r.unknown = nil, body }, true},
		{"no body", func(r *Record, _ *Task) { r.Body, r.Pad = nil, []byte{0} }, true},
	} {
		for _, optional := range []bool{false, true} {
			rec, x := task()
			c.set(rec, x)
			rec.Optional = optional
			rb, err := Encode(rec)
			if err != nil {
				t.Fatal(err)
			}
			b := newRaw().header().frame(rb, nil).stage().end()
			var seen bool
			readFrames(t, b, func(f *Frame) { seen = seen || f.Unknown })
			if seen != c.unknown {
				t.Errorf("%s: seen as unknown: %v", c.name, seen)
			}
			r, err := NewReader(bytes.NewReader(b))
			if err != nil {
				t.Fatal(err)
			}
			r.RefuseUnknown()
			for err == nil {
				_, err = r.Next()
			}
			if refused := c.unknown && !optional; refused != errors.Is(err, ErrUnknown) || !refused && err != io.EOF {
				t.Errorf("%s, optional %v: %v", c.name, optional, err)
			}
		}
	}
}

func TestNewerMinorVersion(t *testing.T) {
	r := newRaw()
	r.Bytes()[6] = FormatMinor + 3
	r.crc = Checksum(r.Bytes())
	if err := readAll(r.header().stage().end()); err != io.EOF {
		t.Fatal(err)
	}
}
