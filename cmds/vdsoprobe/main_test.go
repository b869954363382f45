package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"floe/lib/cli"
	"floe/lib/record"
	"floe/lib/vdso"
)

// load a kernel's fixture as the record of an image.
func fixtureRecord(t *testing.T, kernel string, mm uint64) *record.Vdso {
	t.Helper()
	const dir = "../../lib/vdso/testdata/"
	f, err := os.Open(dir + kernel + ".smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	areas, err := vdso.ReadAreas(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(dir + kernel + ".vdso")
	if err != nil {
		t.Fatal(err)
	}
	rec, err := vdso.Record(mm, areas, b)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// imageFile writes an image with some vDSOs and a long rest that is damaged:
// nobody needs to read it.
func imageFile(t *testing.T, recs ...*record.Vdso) string {
	t.Helper()
	var b bytes.Buffer
	w := record.NewWriter(&b)
	add := func(r *record.Record) {
		t.Helper()
		if err := w.Add(r, nil); err != nil {
			t.Fatal(err)
		}
	}
	add(&record.Record{Body: &record.Record_Header{Header: &record.Header{Arch: "amd64"}}})
	for _, r := range recs {
		add(&record.Record{Body: &record.Record_Vdso{Vdso: r}})
	}
	if err := w.EndStage("vdsoprobe", "test"); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	b.WriteString("\xff\xff\xff damaged")
	name := filepath.Join(t.TempDir(), "img")
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// here is the record of this kernel's own vDSO.
func hereRecord(t *testing.T, mm uint64) *record.Vdso {
	t.Helper()
	areas, code, err := vdso.Own()
	if err != nil {
		t.Fatal(err)
	}
	rec, err := vdso.Record(mm, areas, code)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// runIt runs the program with /dev/null for its input.
func runIt(t *testing.T, f flags) (stdout string, status int, err error) {
	t.Helper()
	null, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	return runOn(t, f, null)
}

func runOn(t *testing.T, f flags, in *os.File) (string, int, error) {
	t.Helper()
	out, err := os.OpenFile(filepath.Join(t.TempDir(), "out"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	err = run(context.Background(), &f, in, out, cli.NewLogger(os.Stderr, "vdsoprobe"))
	b, rerr := os.ReadFile(out.Name())
	if rerr != nil {
		t.Fatal(rerr)
	}
	return string(b), cli.Status(err), err
}

func TestCompare(t *testing.T) {
	all := map[string]string{}
	for _, k := range []string{"5.10", "6.12", "7.2"} {
		all[k] = imageFile(t, fixtureRecord(t, k, 1))
	}
	for _, test := range []struct {
		image, image2 string
		status        int
		want          []string
	}{
		{all["6.12"], all["6.12"], 0, []string{"__vdso_getrandom                         1020     1020  leave it to the kernel\n", "\nin place\n"}},
		{all["6.12"], all["5.10"], 1, []string{
			"symbol                                  image  runtime  restore would\n", "\n__vdso_time                               b90      8d0  redirect it\n",
			"\ngetrandom                                1020        -  make the system call getrandom\n", "\n__vdso_sgx_enter_enclave                 ", "  keep it: it needs no kernel\n",
			"\nnot in place: the symbols differ\nproxy: 5 redirected, 1 by syscall, 1 kept\n"}},
		{all["5.10"], all["7.2"], 1, []string{"\n__vdso_getrandom                            -     1120  nothing: the image does not know it\n",
			"not in place: [vdso] stands where this kernel has [vvar_vclock]\nproxy: 5 redirected, 0 by syscall\n"}},
		{imageFile(t, hereRecord(t, 1), hereRecord(t, 2)), "", 0, []string{"\nin place\n"}},
		{imageFile(t, hereRecord(t, 1), fixtureRecord(t, "5.10", 2), hereRecord(t, 3)), "", 1, []string{"address spaces [1 3]:\n", "\nin place\naddress spaces [2]:\n", "\nproxy: 5 redirected, 0 by syscall\n"}},
		{imageFile(t, &record.Vdso{MmId: 1}), "", 0, []string{"\nin place\n"}},
	} {
		got, status, err := runIt(t, flags{Compare: test.image, Image2: test.image2})
		if status != test.status {
			t.Errorf("status %d (%v), want %d", status, err, test.status)
		}
		for _, w := range test.want {
			if !strings.Contains(got, w) {
				t.Errorf("no %q in\n%s", w, got)
			}
		}
	}
}

func TestCompareJSON(t *testing.T) {
	a, b := imageFile(t, fixtureRecord(t, "7.2", 1)), imageFile(t, fixtureRecord(t, "6.1", 1))
	got, status, _ := runIt(t, flags{Compare: a, Image2: b, JSON: true})
	var r struct {
		Same  bool
		VDSOs []comparison
	}
	if err := json.Unmarshal([]byte(got), &r); err != nil {
		t.Fatal(err)
	}
	if status != 1 || r.Same || len(r.VDSOs) != 1 || r.VDSOs[0].Verdict != "proxy: 6 redirected, 1 by syscall, 2 kept" || len(r.VDSOs[0].Symbols) != 15 {
		t.Errorf("status %d, %s", status, got)
	}
}

func TestCompareTrouble(t *testing.T) {
	damaged := fixtureRecord(t, "6.1", 1)
	damaged.Symbols[0].Offset = 77
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("hello, hello, hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ image, image2, want string }{
		{"/does/not/exist", "", "open /does/not/exist: no such file or directory"},
		{text, "", text + ": "},
		{imageFile(t), "", "it has no vDSO in it; was vdsoprobe in the pipeline?"},
		{imageFile(t, damaged), "", "address space 1: vdso: the record's symbols are not those in its bytes"},
		{imageFile(t, hereRecord(t, 1)), imageFile(t, &record.Vdso{MmId: 1}), "no process of it has a vDSO"},
	} {
		_, status, err := runIt(t, flags{Compare: test.image, Image2: test.image2})
		if status != 2 || err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("status %d, %v, want %s", status, err, test.want)
		}
	}
}

func TestShowHere(t *testing.T) {
	got, status, err := runIt(t, flags{})
	rec := hereRecord(t, 1)
	if status != 0 || err != nil {
		t.Fatal(status, err)
	}
	for _, a := range rec.Areas {
		if line := fmt.Sprintf("%012x-%012x %8d  %s\n", a.Start, a.End, a.End-a.Start, a.Name); !strings.Contains(got, line) {
			t.Errorf("no %q in\n%s", line, got)
		}
	}
	for _, s := range rec.Symbols {
		if line := fmt.Sprintf("%8x %6d  %s@%s", s.Offset, s.Size, s.Name, s.Version); !strings.Contains(got, line) {
			t.Errorf("no %q in\n%s", line, got)
		}
	}
	if line := fmt.Sprintf("\nbuild-id %x\n", rec.BuildId); !strings.Contains(got, line) {
		t.Errorf("no %q in\n%s", line, got)
	}
	got, _, err = runIt(t, flags{JSON: true})
	var r report
	if jerr := json.Unmarshal([]byte(got), &r); err != nil || jerr != nil || r.State != "native" || len(r.Symbols) != len(rec.Symbols) || len(r.Areas) != len(rec.Areas) {
		t.Errorf("%v, %v:\n%s", err, jerr, got)
	}
}

func TestExtract(t *testing.T) {
	name := filepath.Join(t.TempDir(), "vdso.so")
	if _, _, err := runIt(t, flags{Extract: name}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(name)
	if err != nil || !bytes.Equal(b, hereRecord(t, 1).Image) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	got, _, err := runIt(t, flags{Extract: "-"})
	if err != nil || got != string(b) {
		t.Errorf("to standard output: %d bytes, %v", len(got), err)
	}
}

func TestUsage(t *testing.T) {
	for _, test := range []struct {
		f    flags
		want string
	}{
		{flags{Compare: "a", PID: 1}, "--compare goes with neither"},
		{flags{Compare: "a", Extract: "x"}, "--compare goes with neither"},
		{flags{Image2: "a"}, "unexpected argument a"},
		{flags{PID: -1}, "--pid -1 is no process"},
		{flags{Extract: "x", JSON: true}, "--extract writes bytes"},
	} {
		if _, status, err := runIt(t, test.f); status != 2 || !strings.Contains(err.Error(), test.want) {
			t.Errorf("status %d, %v, want %s", status, err, test.want)
		}
	}
	if _, status, err := runIt(t, flags{PID: 1 << 30}); status != 1 || err.Error() != fmt.Sprintf("there is no process %d", 1<<30) {
		t.Errorf("status %d, %v", status, err)
	}
}

// What standard input is decides whether it is a stage.
func TestIsStream(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	socket := os.NewFile(uintptr(pair[0]), "socket")
	unix.Close(pair[1])
	open := func(name string) *os.File {
		f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOCTTY, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	closed := open("/dev/null")
	closed.Close()
	for name, test := range map[string]struct {
		in   *os.File
		want bool
	}{
		"pipe": {r, true}, "socket": {socket, true}, "file": {open("main.go"), true},
		"/dev/null": {open("/dev/null"), false}, "terminal": {open("/dev/ptmx"), false}, "folder": {open("/"), false}, "closed": {closed, false},
	} {
		if got := isStream(test.in); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	w.Close()
	_, status, err := runOn(t, flags{}, r)
	var e *cli.ExitError
	if status != cli.StatusBadInput || !errors.As(err, &e) {
		t.Errorf("an empty pipe: status %d, %v", status, err)
	}
	t.Log(err)
}

// Names in an image are printed so that a terminal does nothing with them.
func TestHostileNames(t *testing.T) {
	const dir, nasty = "../../lib/vdso/testdata/", "\x1b]0;owned\u009b\a"
	f, err := os.Open(dir + "6.1.smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	areas, err := vdso.ReadAreas(f)
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile(dir + "6.1.vdso")
	if err != nil {
		t.Fatal(err)
	}
	areas[0].Name = nasty
	rec, err := vdso.Record(1, areas, code)
	if err != nil {
		t.Fatal(err)
	}
	image := imageFile(t, rec)
	for _, f := range []flags{{Compare: image}, {Compare: image, JSON: true}} {
		got, _, err := runIt(t, f)
		if plain := strings.ReplaceAll(got, "\n", ""); cli.Escape(plain) != plain || !strings.Contains(got, "owned") {
			t.Errorf("%+v: %v\n%q", f, err, got)
		}
	}
}
