package record

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// later is a record as a later version might write it.
func later(t *testing.T, rec *Record, optional bool, set func(*Record)) []byte {
	t.Helper()
	rec = proto.Clone(rec).(*Record)
	rec.Optional = optional
	set(rec)
	b, err := proto.Marshal(rec)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestUnknown has what a later minor version may add: who passes a stream on
// passes it on, who acts on it takes it only where it is optional.
func TestUnknown(t *testing.T) {
	field := protowire.AppendVarint(protowire.AppendTag(nil, 1000, protowire.VarintType), 1)
	wrongType := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "a pid in words")
	body := protowire.AppendString(protowire.AppendTag(nil, 120, protowire.BytesType), "new")
	small := protowire.AppendVarint(protowire.AppendTag(nil, 9, protowire.VarintType), 1)
	task := &Record{Body: &Record_Task{&Task{Pid: 1, Pending: []*SigInfo{{}}}}}
	for _, c := range []struct {
		name    string
		rec     *Record
		set     func(*Record)
		unknown bool
	}{
		{"all known", task, func(*Record) {}, false},
		{"field of the record", task, func(r *Record) { r.ProtoReflect().SetUnknown(small) }, true},
		{"field of the body", task, func(r *Record) { r.GetTask().ProtoReflect().SetUnknown(field) }, true},
		{"field with another type", task, func(r *Record) { r.GetTask().ProtoReflect().SetUnknown(wrongType) }, true},
		{"field deep inside", task, func(r *Record) { r.GetTask().Pending[0].ProtoReflect().SetUnknown(field) }, true},
		{"body", &Record{}, func(r *Record) { r.ProtoReflect().SetUnknown(body) }, true},
		{"no body", &Record{Pad: []byte{0}}, func(*Record) {}, true},
	} {
		for _, optional := range []bool{false, true} {
			b := newRaw().header().frame(later(t, c.rec, optional, c.set), nil).stage().end()
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
