package stage

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"floe/lib/cli"
	"floe/lib/lease"
	"floe/lib/record"
)

// stream is what a freeze of this process would write, up to the mark. No one
// traces this process, so that a stage that takes the stream for good fails
// all the same.
func stream(t *testing.T, change func([]*record.Record) []*record.Record) (b []byte, frames []int) {
	t.Helper()
	s, err := lease.NewServer()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	records, err := fakeRecords(os.Getpid(), s.FD(), false)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		records = change(records)
	}
	var out bytes.Buffer
	w := record.NewWriter(&out)
	for _, r := range records {
		frames = append(frames, int(w.Offset()))
		if err := w.Add(r, nil); err != nil {
			t.Fatal(err)
		}
	}
	frames = append(frames, int(w.Offset()))
	if err := w.EndStage("freeze", ""); err != nil {
		t.Fatal(err)
	}
	frames = append(frames, int(w.Offset()))
	if err := w.Mark(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), frames
}

// runOn runs a stage on a file with these bytes.
func runOn(t *testing.T, b []byte, opt Options) error {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "in")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(filepath.Join(dir, "out"), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	opt.Name = "vmadump"
	return Run(context.Background(), opt, in, out, func(*Context) error {
		t.Error("a bad stream was taken for good")
		return nil
	})
}

func wantBad(t *testing.T, what string, err error, status int, say string) {
	t.Helper()
	if err == nil || cli.Status(err) != status || !strings.Contains(err.Error(), say) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%s: status %d, %v; want %d, %q", what, cli.Status(err), err, status, say)
	}
}

func TestGoodStreamUntilFrozenCheck(t *testing.T) {
	b, _ := stream(t, nil)
	wantBad(t, "good", runOn(t, b, Options{}), cli.StatusFailed, "is not frozen any more: nobody traces it")
}

// over is a change to a lease that is over: the stream's damage counts more.
func over(r []*record.Record) []*record.Record {
	r[0].GetHeader().Lease.StartTime--
	return r
}

func TestTruncated(t *testing.T) {
	b, _ := stream(t, over)
	for n := range b {
		err := runOn(t, b[:n], Options{})
		wantBad(t, "truncated", err, cli.StatusBadInput, "the stage before vmadump has failed")
	}
}

func TestFlipped(t *testing.T) {
	b, frames := stream(t, over)
	mark := frames[len(frames)-1]
	const minor = 6 // format version: any will do
	for i := range b {
		for _, bit := range []byte{1, 0x80} {
			c := bytes.Clone(b)
			c[i] ^= bit
			err := runOn(t, c, Options{Needs: []string{"freeze"}})
			if err == nil || strings.Contains(err.Error(), "\n") || (cli.Status(err) != cli.StatusBadInput && i < mark && i != minor) {
				t.Errorf("byte %d ^ %#x (mark at %d): status %d, %v", i, bit, mark, cli.Status(err), err)
			}
		}
	}
}

func TestForeign(t *testing.T) {
	header := func(f func(*record.Header)) func([]*record.Record) []*record.Record {
		return func(r []*record.Record) []*record.Record { f(r[0].GetHeader()); return r }
	}
	for what, test := range map[string]struct {
		change func([]*record.Record) []*record.Record
		status int
		say    string
	}{
		"architecture":    {header(func(h *record.Header) { h.Arch = "vax" }), 3, `the stream is of "vax"`},
		"machine":         {header(func(h *record.Header) { h.BootId = "another" }), 1, "another machine"},
		"pid namespace":   {header(func(h *record.Header) { h.PidnsInode++ }), 1, "another pid namespace"},
		"freeze gone":     {header(func(h *record.Header) { h.Lease.StartTime-- }), 1, "the lease is over: freeze is gone"},
		"not a lease":     {header(func(h *record.Header) { h.Lease.Fd = 2 }), 1, "is no lease"},
		"no lease":        {header(func(h *record.Header) { h.Lease = nil }), 1, "names no lease"},
		"no header":       {func(r []*record.Record) []*record.Record { return r[1:] }, 3, "does not begin with a header"},
		"no tasks":        {func(r []*record.Record) []*record.Record { return r[:1] }, 3, "no tasks"},
		"a thread less":   {func(r []*record.Record) []*record.Record { return r[:len(r)-1] }, 1, ""},
		"header twice":    {func(r []*record.Record) []*record.Record { return append(r, r[0]) }, 3, "two headers"},
		"another process": {func(r []*record.Record) []*record.Record { r[1].GetTask().StartTime--; return r }, 1, "task"},
	} {
		b, _ := stream(t, test.change)
		wantBad(t, what, runOn(t, b, Options{}), test.status, test.say)
	}
}

func TestOrder(t *testing.T) {
	b, _ := stream(t, nil)
	wantBad(t, "needs", runOn(t, b, Options{Needs: []string{"freeze", "fddump"}}), cli.StatusBadInput, "fddump must come before vmadump in the pipeline")
	wantBad(t, "more", runOn(t, append(bytes.Clone(b), 'x'), Options{}), cli.StatusBadInput, "more came after the end")
	wantBad(t, "no end of stage", runOn(t, unended(t), Options{}), cli.StatusBadInput, "has not ended its records")
	wantBad(t, "late task", runOn(t, lateTask(t), Options{}), cli.StatusBadInput, "a task after those that freeze has ended")
}

// lateTask is a stream with one more task in the records of a second stage,
// which nobody would look at.
func lateTask(t *testing.T) []byte {
	t.Helper()
	b, frames := stream(t, nil)
	r, err := record.NewReader(bytes.NewReader(b[:frames[len(frames)-1]]))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := record.NewWriter(&out)
	for range len(frames) - 1 {
		f, err := r.Next()
		if err == nil {
			err = w.Pass(f, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	late := &record.Record{Body: &record.Record_Task{Task: &record.Task{Pid: 1 << 20, Ppid: int32(os.Getpid()), Pgid: 1, Sid: 1}}}
	if err := errors.Join(w.Add(late, nil), w.EndStage("vmadump", ""), w.Mark()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// unended is a stream whose stage has not ended, with a mark all the same.
func unended(t *testing.T) []byte {
	t.Helper()
	b, frames := stream(t, nil)
	r, err := record.NewReader(bytes.NewReader(b[:frames[len(frames)-2]]))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := record.NewWriter(&out)
	for f, err := r.Next(); err == nil; f, err = r.Next() {
		if err := w.Pass(f, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Mark(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestFinishedImage(t *testing.T) {
	var out bytes.Buffer
	w := record.NewWriter(&out)
	b, frames := stream(t, nil)
	r, err := record.NewReader(bytes.NewReader(b[:frames[len(frames)-1]]))
	if err != nil {
		t.Fatal(err)
	}
	for range len(frames) - 1 {
		f, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Pass(f, nil); err != nil {
			t.Fatal(err)
		}
	}
	err = errors.Join(
		w.EndStage("vdsoprobe", ""),
		w.Add(&record.Record{Body: &record.Record_Pages{Pages: &record.Pages{MmId: 1}}}, make([]byte, 4096)),
		w.EndStage("pagedump", ""), w.End(&record.Index{}))
	if err != nil {
		t.Fatal(err)
	}
	wantBad(t, "image", runOn(t, out.Bytes(), Options{}), cli.StatusBadInput, "pagedump has ended this stream")
}

func TestTerminals(t *testing.T) {
	tty, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	wantBad(t, "stdin", Run(context.Background(), Options{Name: "x"}, tty, w, nil), cli.StatusUsage, "standard input is a terminal")
	wantBad(t, "stdout", Run(context.Background(), Options{Name: "x"}, r, tty, nil), cli.StatusUsage, "standard output is a terminal")
}
