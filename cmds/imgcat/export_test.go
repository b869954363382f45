package main

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"floe/lib/record"
	"floe/lib/record/recordpb"
)

// Each line is what protojson reads, and all of the record but filler and what
// this version does not know.
func TestExport(t *testing.T) {
	for name, b := range map[string][]byte{"golden": read(t, goldenImage), "real": realOne(t).bytes} {
		want := frames(t, b)
		r := imgcat(t, flags{File: tempFile(t, b), JSON: true}, false)
		if r.err != nil {
			t.Fatal(r.err)
		}
		lines := strings.Split(strings.TrimSuffix(r.out, "\n"), "\n")
		if len(lines) != len(want) {
			t.Fatalf("%s: %d lines of %d records", name, len(lines), len(want))
		}
		for i, line := range lines {
			w := protobuf(t, want[i].Record)
			w.Pad = nil
			w.ProtoReflect().SetUnknown(nil)
			var got recordpb.Record
			if err := protojson.Unmarshal([]byte(line), &got); err != nil {
				t.Errorf("%s: %v in %s", name, err, line)
			} else if !proto.Equal(&got, w) {
				t.Errorf("%s: %v, want %v", name, &got, w)
			}
			if !strings.HasPrefix(line, `{"payloadLen":"`) {
				t.Errorf("%s: no length in %s", name, line)
			}
		}
		if p := piped(t, flags{JSON: true}, b); p.err != nil || p.out != r.out {
			t.Errorf("%s: from a pipe it is another one: %v", name, p.err)
		}
	}
}

// protobuf is a record as protobuf's own code has it.
func protobuf(t *testing.T, r *record.Record) *recordpb.Record {
	t.Helper()
	b, err := record.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	m := &recordpb.Record{}
	if err := proto.Unmarshal(b, m); err != nil {
		t.Fatal(err)
	}
	return m
}

// Strings of all sorts, and an enum's number without a name.
func TestExportValues(t *testing.T) {
	want := &record.Record{Body: &record.Record_Vma{Vma: &record.Vma{Name: "a\"\\/\x00\x1f\u009b\U000e0001\U0001f600é\u2028\ufffd", Kind: 77, Flags: []string{"", "x"}, Start: 1<<64 - 1}}}
	header := &record.Record{Body: &record.Record_Header{Header: &record.Header{Clocks: &record.Clocks{MonotonicOffsetNs: -1 << 63}}}}
	r := piped(t, flags{JSON: true}, stream(t, "freeze", header, want))
	refused(t, "an unfinished stream", r, "missing vmadump, vdsoprobe, fddump, pagedump; run them")
	for i, w := range []*record.Record{header, want} {
		var got recordpb.Record
		line := strings.Split(r.out, "\n")[i]
		if err := protojson.Unmarshal([]byte(line), &got); err != nil || !proto.Equal(&got, protobuf(t, w)) {
			t.Errorf("%v, %v\n%s", err, &got, line)
		}
	}
}
