package vmas

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"floe/lib/procfs"
	"floe/lib/record"
)

const (
	page = 4096
	r    = unix.PROT_READ
	w    = unix.PROT_WRITE
	x    = unix.PROT_EXEC
)

// restorable are kinds of mappings that are recorded.
var restorable = []struct {
	name         string
	major, minor int // the first Linux that has it
	kind         record.Vma_Kind
	prot, may    uint32
	pages        uint64
	offset       uint64
	path         string // the file's name in the victim's directory
	flags        string // those that must be there
	without      string // and those that must not
}{
	{name: "private", kind: record.Vma_FILE_PRIVATE, prot: r | x, may: r | w | x, pages: 2, offset: page, path: "f", flags: "rd ex"},
	{name: "shared", kind: record.Vma_FILE_SHARED, prot: r | w, may: r | w | x, pages: 1, offset: 2 * page, path: "f", flags: "sh"},
	{name: "sharedro", kind: record.Vma_FILE_SHARED, prot: r, may: r | x, pages: 1, path: "f", without: "mw"},
	{name: "newline", kind: record.Vma_FILE_PRIVATE, prot: r, may: r | w | x, pages: 1, path: "new\nline"},
	{name: "backslash", kind: record.Vma_FILE_PRIVATE, prot: r, may: r | w | x, pages: 1, path: `back\012slash`},
	{name: "spaces", kind: record.Vma_FILE_PRIVATE, prot: r, may: r | w | x, pages: 1, path: "  sp ace "},
	{name: "suffix", kind: record.Vma_FILE_PRIVATE, prot: r, may: r | w | x, pages: 1, path: "kept (deleted)"},
	{name: "readonly", prot: r, may: r | w | x, pages: 1, without: "ac"},
	{name: "none", may: r | w | x, pages: 1, without: "rd wr ex"},
	{name: "zero", prot: r | w, may: r | w | x, pages: 1, flags: "ac"},
	{name: "growsdown", prot: r | w, may: r | w | x, pages: 1, flags: "gd"},
	{name: "noreserve", prot: r | w, may: r | w | x, pages: 1, flags: "nr", without: "ac"},
	{name: "droppable", major: 6, minor: 11, prot: r | w, may: r | w | x, pages: 1, flags: "dp"},
	{name: "locked", prot: r | w, may: r | w | x, pages: 1, flags: "lo", without: "lf"},
	{name: "onfault", major: 6, minor: 2, prot: r | w, may: r | w | x, pages: 1, flags: "lo lf"},
	{name: "dontfork", prot: r | w, may: r | w | x, pages: 1, flags: "dc"},
	{name: "dontdump", prot: r | w, may: r | w | x, pages: 1, flags: "dd"},
	{name: "wipeonfork", prot: r | w, may: r | w | x, pages: 1, flags: "wf"},
	{name: "hugepage", prot: r | w, may: r | w | x, pages: 1, flags: "hg"},
	{name: "nohugepage", prot: r | w, may: r | w | x, pages: 1, flags: "nh"},
	{name: "random", prot: r | w, may: r | w | x, pages: 1, flags: "rr"},
	{name: "sequential", prot: r | w, may: r | w | x, pages: 1, flags: "sr"},
	{name: "guard", major: 6, minor: 13, prot: r | w, may: r | w | x, pages: 1},
	{name: "sealed", major: 6, minor: 10, prot: r | w, may: r | w | x, pages: 1, flags: "sl"},
	{name: "anonshared", kind: record.Vma_ANON_SHARED, prot: r | w, may: r | w | x, pages: 2, offset: page, flags: "sh"},
	{name: "zeroshared", kind: record.Vma_ANON_SHARED, prot: r, may: r | w | x, pages: 1},
}

func TestKinds(t *testing.T) {
	var names []string
	for _, k := range restorable {
		if atLeast(t, k.major, k.minor) {
			names = append(names, k.name)
		}
	}
	v := kinds(t, names...)
	im := tree(t, v.pid)
	if err := collect(t, im); err != nil {
		t.Fatal(err)
	}
	dir, err := os.Readlink("/proc/" + itoa(v.pid) + "/cwd")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range restorable {
		if !slices.Contains(names, k.name) {
			continue
		}
		addr := v.addr(t, k.name)
		got := at(t, im, 1, addr)
		// Neighbours of the same sort are one mapping with it.
		if got.Kind != k.kind || got.Prot != k.prot || got.MayProt != k.may || got.Offset != k.offset || got.MmId != 1 ||
			got.End-addr < k.pages*page || k.kind != 0 && (got.Start != addr || got.End-addr != k.pages*page) {
			t.Errorf("%s: %v, want %+v", k.name, got, k)
		}
		for _, f := range strings.Fields(k.flags) {
			if !slices.Contains(got.Flags, f) {
				t.Errorf("%s: no flag %s in %v", k.name, f, got.Flags)
			}
		}
		for _, f := range strings.Fields(k.without) {
			if slices.Contains(got.Flags, f) {
				t.Errorf("%s: flag %s in %v", k.name, f, got.Flags)
			}
		}
		if k.path != "" {
			sameFile(t, im.File(got.FileId), filepath.Join(dir, k.path))
		} else if got.FileId != 0 {
			t.Errorf("%s: has file %d", k.name, got.FileId)
		}
	}
	a, b := at(t, im, 1, v.addr(t, "anonshared")), at(t, im, 1, v.addr(t, "zeroshared"))
	if a.ShmemId == 0 || b.ShmemId == 0 || a.ShmemId == b.ShmemId || a.ShmemSize != 3*page || b.ShmemSize != page {
		t.Errorf("shared objects: %v and %v", a, b)
	}
}

// sameFile compares a record with the file at a path.
func sameFile(t *testing.T, f *record.File, path string) {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	if f == nil {
		t.Fatalf("no record of %q", path)
	}
	if string(f.Path) != path || f.Dev != st.Dev || f.Ino != st.Ino || f.Mode != st.Mode || f.Size != uint64(st.Size) ||
		f.MtimeNs != st.Mtim.Nano() || f.Uid != st.Uid || f.Gid != st.Gid || f.Deleted {
		t.Errorf("%v, want %q %+v", f, path, st)
	}
}

// TestWhole compares with maps: no mapping may be left out or changed.
func TestWhole(t *testing.T) {
	v := python(t, "import sqlite3, threading, mmap; m = mmap.mmap(-1, 1 << 20); print('ready', flush=True); input()")
	im := tree(t, v.pid)
	if err := collect(t, im); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open("/proc/" + itoa(v.pid) + "/maps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want, err := procfs.ParseMappings(f)
	if err != nil {
		t.Fatal(err)
	}
	got := im.Vmas[1]
	if len(got) != len(want) || im.Mms[1].Vmas != uint64(len(want)) {
		t.Fatalf("%d mappings, %d announced, want %d", len(got), im.Mms[1].Vmas, len(want))
	}
	kinds := map[string]record.Vma_Kind{"[heap]": record.Vma_ANON_PRIVATE, "[stack]": record.Vma_ANON_PRIVATE,
		"[vdso]": record.Vma_SPECIAL, "[vvar]": record.Vma_SPECIAL, "[vsyscall]": record.Vma_VSYSCALL}
	for i, m := range want {
		g := got[i]
		if g.Start != m.Start || g.End != m.End || g.Name != m.Name || g.FileId != 0 && g.Offset != m.Offset {
			t.Errorf("%v, want %+v", g, m)
		}
		if kind, ok := kinds[m.Name]; ok && g.Kind != kind {
			t.Errorf("%s is %v", m.Name, g.Kind)
		}
		if f := im.File(g.FileId); f != nil && string(f.Path) != m.Name {
			t.Errorf("%+v: file %s", m, f.Path)
		}
	}
	paths := map[string]bool{}
	for _, f := range im.Files() {
		if paths[string(f.Path)] {
			t.Errorf("two records of %s", f.Path)
		}
		paths[string(f.Path)] = true
	}
}

func TestMm(t *testing.T) {
	v := kinds(t, "none")
	im := tree(t, v.pid)
	if err := collect(t, im); err != nil {
		t.Fatal(err)
	}
	mm := im.Mms[1]
	s, err := procfs.ReadStat(v.pid)
	if err != nil {
		t.Fatal(err)
	}
	code := at(t, im, 1, mm.StartCode)
	if code.Kind != record.Vma_FILE_PRIVATE || code.FileId != mm.ExeFile || mm.EndCode <= mm.StartCode || mm.EndData <= mm.StartData ||
		mm.Brk != 12345 || mm.StartBrk != s.StartBrk || mm.EnvEnd != s.EnvEnd || mm.ArgStart == 0 || mm.Pid != int32(v.pid) {
		t.Errorf("%v", mm)
	}
	if stack := at(t, im, 1, mm.StartStack); stack.Name != "[stack]" || !slices.Contains(stack.Flags, "gd") {
		t.Errorf("stack at %x: %v", mm.StartStack, stack)
	}
	exe, _ := compileKinds()
	sameFile(t, im.File(mm.ExeFile), exe)
	if id := hex.EncodeToString(im.File(mm.ExeFile).BuildId); id != kindsID {
		t.Errorf("build-id %s", id)
	}
	whole, err := os.ReadFile("/proc/" + itoa(v.pid) + "/auxv")
	if err != nil {
		t.Fatal(err)
	}
	const entry = 16
	if n := len(mm.Auxv); n == 0 || n > len(whole) || string(mm.Auxv) != string(whole[:n]) || string(mm.Auxv[n-entry:n-entry+8]) != string(make([]byte, 8)) {
		t.Errorf("auxv %x", mm.Auxv)
	}
}
