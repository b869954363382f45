package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"testing"

	"floe/lib/record"
)

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestVerify(t *testing.T) {
	im := realOne(t)
	name := tempFile(t, im.bytes)
	r := imgcat(t, flags{File: name, Verify: true}, false)
	want := regexp.MustCompile(`^/\S+: good: 3 tasks, [0-9]+ records, [0-9.]+ KiB, [0-9]+ KiB of pages; checksums, references, stages, pages and index are right\n$`)
	if r.err != nil || !want.MatchString(r.out) {
		t.Errorf("%v, %q", r.err, r.out)
	}
	if r := imgcat(t, flags{File: name, Verify: true}, true); r.err != nil || r.out != "" {
		t.Errorf("with -q: %v, %q", r.err, r.out)
	}
	if r := piped(t, flags{Verify: true}, im.bytes); r.err != nil || !strings.HasPrefix(r.out, "standard input: good: ") {
		t.Errorf("from a pipe: %v, %q", r.err, r.out)
	}
}

// An image whose checksums are right, and whose vDSO is no ELF file.
func TestVerifyVdso(t *testing.T) {
	refused(t, "the golden image", imgcat(t, flags{File: goldenImage, Verify: true}, false), "memory of task 100: vdso: ")
}

// The image is cut before every record, and within every record and payload.
func TestCut(t *testing.T) {
	b := realOne(t).bytes
	for i, f := range frames(t, b) {
		if f.Record.GetVma() != nil && i%10 != 0 {
			continue // there are more than a hundred of them
		}
		for _, at := range []int64{f.Offset, f.Offset + int64(len(f.Raw))/2, f.PayloadOffset + int64(f.Record.PayloadLen)/2} {
			cut := b[:at]
			name := tempFile(t, cut)
			for _, fl := range []flags{{File: name}, {File: name, JSON: true}, {File: name, Verify: true}} {
				r := imgcat(t, fl, false)
				if at == int64(len(b)) {
					continue
				}
				what := fmt.Sprintf("%+v: cut at %d, in the record %d (%s)", fl, at, i, f.Record.Kind())
				refused(t, what, r, name+": the stream ")
				if fl.Verify == (r.out != "") && at > 1000 {
					t.Errorf("%s: %q", what, r.out)
				}
			}
		}
	}
}

// Where stages end, what comes after them is missing; elsewhere, the stage too.
func TestMissing(t *testing.T) {
	b := realOne(t).bytes
	missing := []string{"freeze", "vmadump", "vdsoprobe", "fddump", "pagedump"}
	for _, f := range frames(t, b) {
		if f.Record.GetEndStage() == nil {
			continue
		}
		end := f.PayloadOffset
		within := piped(t, flags{}, b[:end-1])
		refused(t, "within "+missing[0], within, "ends early", "missing "+strings.Join(missing, ", ")+", the end record; restore would refuse it")
		missing = missing[1:]
		after := piped(t, flags{}, b[:end])
		want := "the stream is not finished: missing " + strings.Join(missing, ", ") + "; run them"
		if len(missing) == 0 {
			want = "the stream is not finished; missing the end record; "
		}
		refused(t, "after a stage", after, want)
		if !strings.Contains(after.out, "running  └─ cat\n\n") {
			t.Errorf("no table:\n%s", after.out)
		}
	}
}

// A bit of every record and every payload is flipped.
func TestFlip(t *testing.T) {
	b := realOne(t).bytes
	rnd := rand.New(rand.NewPCG(1, 2))
	for i, f := range frames(t, b) {
		places := []int64{f.Offset + rnd.Int64N(int64(len(f.Raw)))}
		if n := int64(f.Record.PayloadLen); n > 0 {
			places = append(places, f.PayloadOffset+rnd.Int64N(n))
		}
		for _, at := range places {
			bad := bytes.Clone(b)
			bad[at] ^= 1 << rnd.IntN(8)
			refused(t, fmt.Sprintf("flip at %d, record %d (%s)", at, i, f.Record.Kind()), imgcat(t, flags{File: tempFile(t, bad), Verify: true}, false))
		}
	}
}

// Many a byte of the golden image.
func TestFlipGolden(t *testing.T) {
	b := read(t, goldenImage)
	rnd := rand.New(rand.NewPCG(3, 4))
	for at := 8; at < len(b); at += 1 + rnd.IntN(40) {
		bad := bytes.Clone(b)
		bad[at] ^= 1 << rnd.IntN(8)
		for _, f := range []flags{{}, {JSON: true}} {
			refused(t, fmt.Sprintf("%+v: flip at %d", f, at), piped(t, f, bad))
		}
	}
}

func TestNoImage(t *testing.T) {
	for _, test := range []struct {
		input string
		says  string
	}{
		{"", "not a floe stream: it is empty; imgcat reads what"},
		{"text\n", "not a floe stream; imgcat reads what"},
		{"FLOE\x00\x01\x00\x00", "the stream ends early, at offset 8"},
		{"FLO", "the stream ends early, at offset 3"},
	} {
		for _, f := range []flags{{}, {JSON: true}, {Verify: true}} {
			r := piped(t, f, []byte(test.input))
			if refused(t, test.input, r, test.says); r.out != "" {
				t.Errorf("%q: %q", test.input, r.out)
			}
		}
	}
	r := piped(t, flags{}, []byte("FLOE\x00\x63\x00\x00"))
	if r.status != 3 || !strings.HasSuffix(r.err.Error(), "standard input: the stream has format 99.0, this program reads 1: use the floe that wrote it") {
		t.Errorf("%d, %v", r.status, r.err)
	}
	for name, says := range map[string]string{"/nonexistent/img": "no such file", "/": "is a directory"} {
		if r := imgcat(t, flags{File: name}, false); r.status != 1 || !strings.Contains(r.err.Error(), says) {
			t.Errorf("%s: status %d, %v", name, r.status, r.err)
		}
	}
}

// What a later version may add is shown, and said to be unknown.
func TestUnknown(t *testing.T) {
	var b bytes.Buffer
	w := record.NewWriter(&b)
	stage := 0
	whole := realOne(t).bytes
	r, err := record.NewReader(bytes.NewReader(whole))
	if err != nil {
		t.Fatal(err)
	}
	for range frames(t, whole) {
		f, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		payload, err := r.Payload()
		if err != nil {
			t.Fatal(err)
		}
		if x := f.Record.GetIndex(); x != nil {
			break
		}
		if err := w.Pass(f, payload); err != nil {
			t.Fatal(err)
		}
		if f.Record.GetEndStage() != nil {
			stage++
		}
	}
	if err := w.Add(unknown([]byte{1, 'x'}), nil); err != nil {
		t.Fatal(err)
	}
	if err := w.EndStage("future", "test"); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	got := piped(t, flags{}, b.Bytes())
	refused(t, "unfinished", got, "the stream is not finished")
	if stage != 5 || !strings.Contains(got.out, ", 1 record that this version does not know\n") {
		t.Errorf("%d stages\n%s", stage, got.out)
	}
}

// unknown is a record with a body that this version does not know: its length
// and contents.
func unknown(body []byte) *record.Record {
	rec := &record.Record{}
	if err := record.Decode(append([]byte{0xc2, 0x07}, body...), rec); err != nil { // field 120
		panic(err)
	}
	return rec
}
