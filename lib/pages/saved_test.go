package pages

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"floe/lib/record"
)

// recordsOf reads a stream's Pages records: "data 0x…+n", "zero 0x…+n" by owner.
func recordsOf(t *testing.T, f *os.File) (runs map[owner][]string, index *record.Index) {
	t.Helper()
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	r, err := record.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	runs = map[owner][]string{}
	for {
		frame, err := r.Next()
		if err == io.EOF {
			return runs, index
		} else if err != nil {
			t.Fatal(err)
		}
		if x := frame.Record.GetIndex(); x != nil {
			index = x
		}
		p := frame.Record.GetPages()
		if p == nil {
			continue
		}
		if p.Encoding == record.Pages_RAW && frame.PayloadOffset%PageSize != 0 {
			t.Errorf("a raw payload starts at %d", frame.PayloadOffset)
		}
		o := owner{p.MmId, p.ShmemId}
		for _, run := range p.Runs {
			kind := map[record.Pages_Encoding]string{record.Pages_RAW: "data", record.Pages_LZ4: "data", record.Pages_ZERO: "zero", record.Pages_GUARD: "guard"}[p.Encoding]
			runs[o] = append(runs[o], fmt.Sprintf("%s %#x+%d", kind, run.Vaddr, run.Pages))
		}
	}
}

// TestSaved looks at what of a victim's memory is saved: that, and no more.
func TestSaved(t *testing.T) {
	c := newChild(t)
	areas := victimAreas(t, c)
	f := imageFile(t, "", false)
	save(t, f, spaceOf(c, areas), Options{})
	got, index := recordsOf(t, f)

	at := func(area int, page uint64, n int) string {
		return fmt.Sprintf("%#x+%d", areas[area].vma.Start+page*PageSize, n)
	}
	want := []string{
		"data " + at(0, 0, 2), "data " + at(0, 9, 1), "data " + at(0, 63, 1),
		"data " + at(1, 3, 2), "data " + at(1, 40, 1),
		"data " + at(2, 0, 1), "data " + at(2, 63, 1),
		"data " + at(3, 5, 1),
		"data " + at(4, 61, 3),
		"data " + at(5, 2, 1),
		"data " + at(6, 1, 1),
		"zero " + at(0, 20, 3), "zero " + at(0, 30, 1), "zero " + at(6, 5, 2),
	}
	if mm := got[owner{mm: 7}]; !slices.Equal(mm, want) {
		t.Errorf("of the address space was saved\n%q\nwant\n%q", mm, want)
	}
	if shm, want := got[owner{shmem: 3}], []string{"data 0x0+1", "data 0x7000+1", "data 0x32000+1"}; !slices.Equal(shm, want) {
		t.Errorf("of the shared object was saved %q, want %q", shm, want)
	}
	if len(got) != 2 {
		t.Errorf("pages of %d owners, want 2", len(got))
	}
	var pages uint64
	for _, b := range index.Blocks {
		pages += b.Pages
	}
	if pages != 15+6+3 {
		t.Errorf("the index has %d pages, want 24: %v", pages, index.Blocks)
	}
}

// TestSharedOnce maps one object in two processes, which must be saved once, with
// a page that is mapped in neither.
func TestSharedOnce(t *testing.T) {
	a, b := newChild(t), newChild(t)
	a.mmap(base, 1, prw, anon(), -1, 0)
	a.write(base, []byte("x\x00"))
	memfd := int(a.sys(unix.SYS_MEMFD_CREATE, base, 0))
	a.sys(unix.SYS_FTRUNCATE, uint64(memfd), 8*PageSize)
	a.mmap(base+0x10000, 8, prw, unix.MAP_SHARED, memfd, 0)
	a.touch(base + 0x10000)
	a.touch(base + 0x15000)
	a.sys(unix.SYS_MUNMAP, base+0x14000, 4*PageSize)
	b.mmap(base, 1, prw, anon(), -1, 0)
	fd := b.open(base, fmt.Sprintf("/proc/%d/fd/%d", a.pid, memfd), unix.O_RDWR)
	b.mmap(base+0x20000, 2, prw, unix.MAP_SHARED, fd, PageSize)
	b.touch(base + 0x20000)
	vma := func(mm, start, pages, off uint64) *record.Vma {
		return &record.Vma{MmId: mm, Start: start, End: start + pages*PageSize, Kind: record.Vma_ANON_SHARED, ShmemId: 9, Offset: off, Prot: prw}
	}
	spaces := []space{
		{mm: 1, tids: []int{a.pid}, vmas: []*record.Vma{vma(1, base+0x10000, 4, 0)}},
		{mm: 2, tids: []int{b.pid}, vmas: []*record.Vma{vma(2, base+0x20000, 2, PageSize)}},
	}
	f := imageFile(t, "", false)
	save(t, f, spaces, Options{})
	got, _ := recordsOf(t, f)
	want := []string{"data 0x0+2", "data 0x5000+1"}
	if runs := got[owner{shmem: 9}]; !slices.Equal(runs, want) || len(got) != 1 {
		t.Errorf("saved %v, want %q", got, want)
	}
}

// TestSharedThroughMappings reads a shared object as a program does that may
// not open map_files: what is mapped, through the mappings.
func TestSharedThroughMappings(t *testing.T) {
	c := newChild(t)
	c.mmap(base, 8, prw, unix.MAP_SHARED|unix.MAP_ANONYMOUS, -1, 0)
	for _, p := range []uint64{0, 2, 5, 7} {
		c.touch(base + p*PageSize)
	}
	mem := newMemory(c.pid)
	s := &shared{id: 1, maps: []mapping{
		{mem, base + 4*PageSize, base + 8*PageSize, 4 * PageSize},
		{mem, base, base + 5*PageSize, 0}, // overlaps
	}}
	var got []extent
	if err := s.scan(func(e extent) error { got = append(got, e); return nil }); err != nil {
		t.Fatal(err)
	}
	if want := []extent{{Run{0, 5}, classData}, {Run{5 * PageSize, 3}, classData}}; !slices.Equal(got, want) {
		t.Fatalf("extents %v, want %v", got, want)
	}
	buf := make([]byte, 8*PageSize)
	if err := s.read(&iovecs{}, []Run{{0, 8}}, buf); err != nil {
		t.Fatal(err)
	}
	for p := uint64(0); p < 8; p++ {
		want := ""
		if slices.Contains([]uint64{0, 2, 5, 7}, p) {
			want = fmt.Sprintf("page %x", base+p*PageSize)
		}
		if text := strings.TrimRight(string(buf[p*PageSize:][:32]), "\x00"); text != want {
			t.Errorf("page %d is %q, want %q", p, text, want)
		}
	}
}

// TestGuards saves guard regions and hands them back.
func TestGuards(t *testing.T) {
	c := newChild(t)
	c.mmap(base, 16, prw, anon(), -1, 0)
	c.touch(base)
	_, err := c.try(unix.SYS_MADVISE, base+4*PageSize, 2*PageSize, unix.MADV_GUARD_INSTALL)
	var told unix.Utsname
	unix.Uname(&told)
	if errors.Is(err, unix.EINVAL) {
		t.Logf("Linux %s has no guard regions", unix.ByteSliceToString(told.Release[:]))
		return
	}
	spaces := []space{{mm: 7, tids: []int{c.pid}, vmas: []*record.Vma{{MmId: 7, Start: base, End: base + 16*PageSize, Prot: prw}}}}
	f := imageFile(t, "", false)
	save(t, f, spaces, Options{})
	f.Seek(0, io.SeekStart)
	dst := newChild(t)
	dst.mmap(base, 16, prw, anon(), -1, 0)
	guards, err := restore(f, f, spaces, LoadOptions{Target: func(uint64) (int, bool) { return dst.pid, true }})
	if err != nil {
		t.Fatal(err)
	}
	var got []Run
	for start, end := range guards.Of(7) {
		got = append(got, Run{start, (end - start) / PageSize})
	}
	if want := []Run{{base + 4*PageSize, 2}}; !slices.Equal(got, want) || !slices.Equal(slices.Collect(guards.Spaces()), []uint64{7}) {
		t.Errorf("guards %x, want %x", got, want)
	}
}

// TestDeadLeader saves the memory of a process whose first thread has ended.
func TestDeadLeader(t *testing.T) {
	c := newChild(t)
	c.mmap(base, 8, prw, anon(), -1, 0)
	c.touch(base)
	tids, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", c.pid))
	if err != nil {
		t.Fatal(err)
	}
	c.sys(unix.SYS_EXIT)
	for { // until the leader is a zombie
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.pid))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), ") Z ") {
			break
		}
	}
	sp := space{mm: 7, vmas: []*record.Vma{{MmId: 7, Start: base, End: base + 8*PageSize, Prot: prw}}}
	for _, e := range tids {
		tid, _ := strconv.Atoi(e.Name())
		sp.tids = append(sp.tids, tid)
	}
	f := imageFile(t, "", false)
	save(t, f, []space{sp}, Options{})
	got, _ := recordsOf(t, f)
	if want := fmt.Sprintf("data %#x+1", base); len(got[owner{mm: 7}]) != 1 || got[owner{mm: 7}][0] != want {
		t.Errorf("saved %v, want %q", got, want)
	}
	if sp.tids = sp.tids[:1]; sp.tids[0] != c.pid {
		t.Fatalf("the first thread of %d is %d", c.pid, sp.tids[0])
	}
	if _, _, err := openSpace(sp); !errors.Is(err, unix.ESRCH) {
		t.Errorf("the dead thread alone: error %v, want %v", err, unix.ESRCH)
	}
}
