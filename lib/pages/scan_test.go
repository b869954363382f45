package pages

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"floe/lib/kabi"
)

const base = 0x10_0000_0000 // where tests map

func anon() int { return unix.MAP_PRIVATE | unix.MAP_ANONYMOUS }

// scanBoth scans by both ways and returns what the ioctl, if the kernel has
// it, and the pagemap gave.
func scanBoth(t *testing.T, pid int, start, end uint64) (ioctl, entries []extent) {
	t.Helper()
	s, err := newScanner(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, way := range []bool{true, false} {
		var got []extent
		s.ioctl = way
		err := s.scan(start, end, func(e extent) error {
			if n := len(got); n > 0 && got[n-1].End() == e.Addr && got[n-1].class == e.class {
				got[n-1].Pages += e.Pages
			} else {
				got = append(got, e)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if way {
			ioctl = got
		} else {
			entries = got
		}
	}
	return ioctl, entries
}

func TestScan(t *testing.T) {
	c := newChild(t)
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, make([]byte, 16*PageSize), 0o600); err != nil {
		t.Fatal(err)
	}
	c.mmap(base, 64, unix.PROT_READ|unix.PROT_WRITE, anon(), -1, 0)
	for _, i := range []uint64{0, 3, 4, 5, 20} {
		c.touch(base + i*PageSize)
	}
	// Read, never written: the page of zeros.
	c.sys(unix.SYS_MADVISE, base+40*PageSize, 2*PageSize, unix.MADV_POPULATE_READ)
	hasGuard := true
	if _, err := c.try(unix.SYS_MADVISE, base+50*PageSize, PageSize, unix.MADV_GUARD_INSTALL); err != nil {
		hasGuard = false
	}
	fd := c.open(base+60*PageSize, path, unix.O_RDONLY)
	const file = base + 0x100000
	c.mmap(file, 16, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE, fd, 0)
	c.sys(unix.SYS_MADVISE, file, 8*PageSize, unix.MADV_POPULATE_READ)
	c.touch(file + 2*PageSize)
	c.touch(file + 10*PageSize)

	want := []extent{
		{Run{base, 1}, classData}, {Run{base + 3*PageSize, 3}, classData}, {Run{base + 20*PageSize, 1}, classData},
		{Run{base + 40*PageSize, 2}, classZero},
		{Run{base + 50*PageSize, 1}, classGuard},
		{Run{base + 60*PageSize, 1}, classData},
		{Run{file + 2*PageSize, 1}, classData}, {Run{file + 10*PageSize, 1}, classData},
	}
	if !hasGuard {
		want = slices.Delete(want, 4, 5)
	}
	ioctl, entries := scanBoth(t, c.pid, base, file+16*PageSize)
	for i := range ioctl { // the page of zeros has no bit in the pagemap
		if i < len(entries) && ioctl[i].class == classZero && entries[i].class == classData {
			entries[i].class = classZero
		}
	}
	if !slices.Equal(ioctl, want) {
		t.Errorf("PAGEMAP_SCAN: %x\nwant %x", ioctl, want)
	}
	if !slices.Equal(entries, want) {
		t.Errorf("pagemap: %x\nwant %x", entries, want)
	}
}

// TestScanMany has more regions than fit into one answer of the kernel, and
// more pages than fit into one read.
func TestScanMany(t *testing.T) {
	c := newChild(t)
	const pages = entriesAtOnce*2 + 100
	c.mmap(base, pages, unix.PROT_READ|unix.PROT_WRITE, anon(), -1, 0)
	var want []extent
	for i := uint64(1); i < pages; i += 3 {
		c.write(base+i*PageSize, []byte{1})
		want = append(want, extent{Run{base + i*PageSize, 1}, classData})
	}
	ioctl, entries := scanBoth(t, c.pid, base, base+pages*PageSize)
	if !slices.Equal(ioctl, want) || !slices.Equal(entries, want) {
		t.Errorf("%d by PAGEMAP_SCAN, %d from the pagemap, want %d extents", len(ioctl), len(entries), len(want))
	}
}

// TestScanFull has as many regions as one, and as some, answers of the kernel
// have room for: none comes twice.
func TestScanFull(t *testing.T) {
	c := newChild(t)
	for _, n := range []uint64{1023, 1024, 1025, 4096} {
		c.mmap(base, 2*n, unix.PROT_READ|unix.PROT_WRITE, anon(), -1, 0)
		var want []extent
		for i := range n {
			c.write(base+2*i*PageSize, []byte{1})
			want = append(want, extent{Run{base + 2*i*PageSize, 1}, classData})
		}
		ioctl, entries := scanBoth(t, c.pid, base, base+2*n*PageSize)
		if !slices.Equal(ioctl, want) || !slices.Equal(entries, want) {
			t.Errorf("%d by PAGEMAP_SCAN, %d from the pagemap, want %d extents", len(ioctl), len(entries), n)
		}
		c.sys(unix.SYS_MUNMAP, base, 2*n*PageSize)
	}
}

func TestScanHuge(t *testing.T) {
	c := newChild(t)
	const pages = 1024 // 4 MiB, aligned
	c.mmap(base, pages, unix.PROT_READ|unix.PROT_WRITE, anon(), -1, 0)
	c.sys(unix.SYS_MADVISE, base, pages*PageSize, unix.MADV_HUGEPAGE)
	c.touch(base + 5*PageSize)
	c.sys(unix.SYS_MADVISE, base+512*PageSize, PageSize, unix.MADV_POPULATE_READ) // the huge page of zeros, or a small one
	ioctl, entries := scanBoth(t, c.pid, base, base+pages*PageSize)
	for _, got := range [][]extent{ioctl, entries} {
		if len(got) == 0 || got[0].Addr != base || got[0].class != classData {
			t.Errorf("extents %x: the touched huge page is not there", got)
		}
	}
	if ioctl[0].Pages != 512 && ioctl[0].Pages != 1024 { // huge pages may be off
		t.Logf("no huge page here: %x", ioctl)
	}
}

func TestClassify(t *testing.T) {
	const present, swap, file, guard, dirty = uint64(kabi.PM_PRESENT), uint64(kabi.PM_SWAP), uint64(kabi.PM_FILE), uint64(kabi.PM_GUARD_REGION), uint64(1) << 55
	for _, c := range []struct {
		entry uint64
		class class
		save  bool
	}{
		{0, 0, false},
		{dirty, 0, false},
		{present | 42, classData, true},
		{present | dirty | kabi.PM_MMAP_EXCLUSIVE, classData, true},
		{present | file, 0, false},
		{swap | 42<<5, classData, true},
		{swap | file, 0, false}, // a page of a file on its way elsewhere
		{swap | guard, classGuard, true},
		{swap | kabi.PM_UFFD_WP, classData, true},
	} {
		if got, save := classify(c.entry); got != c.class || save != c.save {
			t.Errorf("entry %#x: class %d, saved %v; want %d, %v", c.entry, got, save, c.class, c.save)
		}
	}
}
