package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"unicode"

	"floe/lib/record"
)

var update = flag.Bool("update", false, "write the golden files anew")

// goldenImage has a record of every kind.
const goldenImage = "../../lib/record/testdata/every-kind.floe"

func TestGoldenTable(t *testing.T) {
	const name = "testdata/every-kind.txt"
	got := imgcat(t, flags{File: goldenImage}, false)
	if got.err != nil {
		t.Fatal(got.err)
	}
	if *update {
		if err := os.WriteFile(name, []byte(got.out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got.out != string(want) {
		t.Errorf("%s\nwant\n%s", got.out, want)
	}
}

// A real tree, from a file and from a pipe.
func TestTable(t *testing.T) {
	im := realOne(t)
	r := imgcat(t, flags{File: tempFile(t, im.bytes)}, false)
	if r.err != nil {
		t.Fatal(r.err)
	}
	for _, want := range []string{
		fmt.Sprintf("image of task %d on ", im.pid), fmt.Sprintf("%8[1]d %8[1]d %8[1]d      0       1  running  bash\n", im.pid),
		"  running  ├─ sleep\n", "  running  └─ cat\n", fmt.Sprintf("\nmemory of task %d (bash): ", im.pid),
		" r-xp         -  /usr/bin/bash at 0x", " [stack] (grows down", "\nvDSO original [v", ", build-id ",
		"standard output of restore; it was pipe:[", ", write end\n", ", read end\n",
		fmt.Sprintf("  the same as 0 of task %d (bash)\n", im.pid), " of pages saved in ",
	} {
		if !strings.Contains(r.out, want) {
			t.Errorf("no %q", want)
		}
	}
	if t.Failed() {
		t.Log(r.out)
	}
	if p := piped(t, flags{}, im.bytes); p.err != nil || p.out != r.out {
		t.Errorf("from a pipe it is another one: %v\n%s", p.err, p.out)
	}
}

// Pages in a file are not read for a table, and are for a verification.
func TestPagesAreSkipped(t *testing.T) {
	bad := bytes.Clone(realOne(t).bytes)
	for _, f := range frames(t, bad) {
		if f.Record.GetPages() != nil && f.Record.PayloadLen > 0 {
			bad[f.PayloadOffset] ^= 1
		}
	}
	name := tempFile(t, bad)
	for _, f := range []flags{{File: name}, {File: name, JSON: true}} {
		if r := imgcat(t, f, false); r.err != nil {
			t.Errorf("%+v: %v", f, r.err)
		}
	}
	refused(t, "verify", imgcat(t, flags{File: name, Verify: true}, false), name+": the stream is damaged at offset", "payload of the pages record")
	refused(t, "from a pipe", piped(t, flags{}, bad), "standard input: the stream is damaged", "payload")
}

// In the middle of a file, as after `{ read line; imgcat; } < file`.
func TestStandardInputThatHasMoved(t *testing.T) {
	name := tempFile(t, append([]byte("line\n"), realOne(t).bytes...))
	for _, f := range []flags{{}, {File: "-", Verify: true}, {JSON: true}} {
		in, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := in.Seek(5, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		if r := imgcatOn(f, false, in); r.err != nil {
			t.Errorf("%+v: %v", f, r.err)
		}
	}
}

// frames takes a whole image apart.
func frames(t *testing.T, b []byte) []*record.Frame {
	t.Helper()
	r, err := record.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	var out []*record.Frame
	for {
		f, err := r.Next()
		if err == io.EOF {
			return out
		} else if err != nil {
			t.Fatal(err)
		}
		out = append(out, f)
	}
}

// stream makes a stream of records, all of one stage.
func stream(t *testing.T, stage string, recs ...*record.Record) []byte {
	t.Helper()
	var b bytes.Buffer
	w := record.NewWriter(&b)
	for _, r := range recs {
		if err := w.Add(r, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.EndStage(stage, "test"); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const nasty = "\x1b]0;owned\a\r\n\u202e\u009b\t\x7f é"

// Names that would drive a terminal are shown and do nothing.
func TestHostileNames(t *testing.T) {
	b := stream(t, nasty,
		&record.Record{Body: &record.Record_Header{Header: &record.Header{Arch: nasty, Hostname: nasty, KernelRelease: nasty, ToolVersion: nasty}}},
		&record.Record{Body: &record.Record_Task{Task: &record.Task{Pid: 1, Ppid: 2, Comm: nasty, MmId: 1, FilesId: 1, FsId: 1}}},
		&record.Record{Body: &record.Record_Mm{Mm: &record.Mm{MmId: 1, Pid: 1, ExeFile: 1}}},
		&record.Record{Body: &record.Record_File{File: &record.File{FileId: 1, Path: []byte(nasty + "\xff")}}},
		&record.Record{Body: &record.Record_Vma{Vma: &record.Vma{MmId: 1, Start: 0x1000, End: 0x2000, Name: nasty, Flags: []string{nasty}}}},
		&record.Record{Body: &record.Record_Vma{Vma: &record.Vma{MmId: 1, Start: 0x2000, End: 0x3000, Kind: record.Vma_FILE_PRIVATE, FileId: 1}}},
		&record.Record{Body: &record.Record_Vdso{Vdso: &record.Vdso{MmId: 1, Areas: []*record.Vdso_Area{{Name: nasty}}}}},
		&record.Record{Body: &record.Record_Fs{Fs: &record.Fs{FsId: 1, CwdFile: 1}}},
		&record.Record{Body: &record.Record_Fd{Fd: &record.Fd{FilesId: 1, Fd: 1, OpenId: 1}}},
		&record.Record{Body: &record.Record_OpenFile{OpenFile: &record.OpenFile{OpenId: 1, Object: &record.OpenFile_External_{External: &record.OpenFile_External{What: nasty}}}}},
	)
	for _, f := range []flags{{}, {JSON: true}} {
		r := piped(t, f, b)
		refused(t, "an unfinished stream", r, "missing freeze")
		for _, c := range r.out {
			if c != '\n' && !unicode.IsPrint(c) {
				t.Fatalf("%U in %q", c, r.out)
			}
		}
		if n := strings.Count(r.out, "owned"); n < 9 {
			t.Errorf("%d names are there:\n%s", n, r.out)
		}
	}
	if r := piped(t, flags{}, b); !strings.Contains(r.out, `\x1b]0;owned\x07\x0d\x0a\u202e\u009b\x09\x7f é`) || !strings.Contains(r.out, `\xff`) {
		t.Errorf("not as it should be escaped:\n%s", r.out)
	}
}

// Branches of all sorts, and a zombie that a signal ended.
func TestTree(t *testing.T) {
	recs := []*record.Record{{Body: &record.Record_Header{Header: &record.Header{RootPid: 1}}}}
	for i, ppid := range []int32{0, 1, 1, 2, 4, 2, 3, 3} {
		pid := int32(i + 1)
		recs = append(recs, &record.Record{Body: &record.Record_Task{Task: &record.Task{Pid: pid, Ppid: ppid, Comm: fmt.Sprint("t", pid)}}})
	}
	dead := recs[len(recs)-1].GetTask()
	dead.State, dead.ExitCode = record.Task_ZOMBIE, 9
	r := piped(t, flags{}, stream(t, "freeze", recs...))
	var got []string
	for line := range strings.Lines(r.out) {
		if _, tree, ok := strings.Cut(line, "  running  "); ok {
			got = append(got, tree)
		} else if _, tree, ok := strings.Cut(line, "  zombie   "); ok {
			got = append(got, tree)
		}
	}
	want := `t1
├─ t2
│  ├─ t4
│  │  └─ t5
│  └─ t6
└─ t3
   ├─ t7
   └─ t8 (ended by SIGKILL)
`
	if strings.Join(got, "") != want {
		t.Errorf("%v\n%s", got, r.out)
	}
}
