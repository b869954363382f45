package main

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

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
			if err := protojson.Unmarshal(withBytes(t, line), &got); err != nil {
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

// loneSurrogate finds the escapes that stand for bytes, and pairs.
var loneSurrogate = regexp.MustCompile(`(\\ud[89ab][0-9a-f]{2})?\\udc([89a-f][0-9a-f])`)

// withBytes is a line with its names in base64, as protojson wants bytes.
func withBytes(t *testing.T, line string) []byte {
	t.Helper()
	// A place of no character's for each byte: encoding/json replaces the escapes.
	line = loneSurrogate.ReplaceAllStringFunc(line, func(s string) string {
		if b, ok := strings.CutPrefix(s, `\udc`); ok {
			return `\uf7` + b
		}
		return s
	})
	var rec map[string]any
	if err := json.Unmarshal([]byte(line), &rec); err != nil {
		t.Fatalf("%v in %s", err, line)
	}
	encodeNames(rec, (&recordpb.Record{}).ProtoReflect().Descriptor())
	b, err := json.Marshal(rec)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func encodeNames(m map[string]any, d protoreflect.MessageDescriptor) {
	for key, v := range m {
		f := d.Fields().ByJSONName(key)
		list, isList := v.([]any)
		if !isList {
			list = []any{v}
		}
		for _, v := range list {
			if inner, ok := v.(map[string]any); ok {
				encodeNames(inner, f.Message())
			}
		}
		if text, ok := v.(string); ok && isName(f) {
			var b []byte
			for _, r := range text {
				if r >= 0xf780 && r <= 0xf7ff {
					b = append(b, byte(r))
				} else {
					b = utf8.AppendRune(b, r)
				}
			}
			m[key] = b
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
	latin1 := &record.Record{Body: &record.Record_File{File: &record.File{FileId: 1, Path: []byte("/caf\xe9/\xf0\x9f\x98\xff")}}}
	cut := &record.Record{Body: &record.Record_Vma{Vma: &record.Vma{Name: "/tmp/\xed\xb3\xa4\xc3"}}}
	header := &record.Record{Body: &record.Record_Header{Header: &record.Header{Clocks: &record.Clocks{MonotonicOffsetNs: -1 << 63}}}}
	r := piped(t, flags{JSON: true}, stream(t, "freeze", header, want, latin1, cut))
	refused(t, "an unfinished stream", r, "missing vmadump, vdsoprobe, fddump, pagedump; run them")
	for i, w := range []*record.Record{header, want, latin1, cut} {
		var got recordpb.Record
		line := strings.Split(r.out, "\n")[i]
		if err := protojson.Unmarshal(withBytes(t, line), &got); err != nil || !proto.Equal(&got, protobuf(t, w)) {
			t.Errorf("%v, %v\n%s", err, &got, line)
		}
	}
	for _, want := range []string{`"path":"/caf\udce9/\udcf0\udc9f\udc98\udcff"`, `"name":"/tmp/\udced\udcb3\udca4\udcc3"`} {
		if !strings.Contains(r.out, want) {
			t.Errorf("no %s in\n%s", want, r.out)
		}
	}
}
