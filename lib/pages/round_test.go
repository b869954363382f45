package pages

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"floe/lib/record"
	"floe/lib/stage"
)

// area is one mapping of a test's victim, and what is done to it.
type area struct {
	vma   *record.Vma
	fd    int
	final int          // protection that it gets at the end
	fill  func(*child) // what the victim does in it
	lost  bool         // its contents don't come back
	path  string
}

const prw = unix.PROT_READ | unix.PROT_WRITE

// mapIn maps the area in a child.
func (a *area) mapIn(c *child, prot int) {
	c.t.Helper()
	flags := map[record.Vma_Kind]int{
		record.Vma_ANON_PRIVATE: anon(), record.Vma_FILE_PRIVATE: unix.MAP_PRIVATE,
		record.Vma_ANON_SHARED: unix.MAP_SHARED, record.Vma_FILE_SHARED: unix.MAP_SHARED,
	}[a.vma.Kind]
	for _, f := range a.vma.Flags {
		switch f {
		case "gd":
			flags |= unix.MAP_GROWSDOWN
		case "dp":
			flags = flags&^unix.MAP_PRIVATE | 0x08 // MAP_DROPPABLE
		}
	}
	c.mmap(a.vma.Start, (a.vma.End-a.vma.Start)/PageSize, prot, flags, a.fd, a.vma.Offset)
}

// victim is a child with memory of every kind.
func victimAreas(t *testing.T, c *child) []*area {
	path := filepath.Join(t.TempDir(), "file")
	content := make([]byte, 64*PageSize)
	for i := range content {
		content[i] = byte(i/PageSize) | 0x80
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	const scratch = base - 0x10000
	c.mmap(scratch, 1, prw, anon(), -1, 0)
	fd := c.open(scratch, path, unix.O_RDWR)
	c.write(scratch, []byte("shared\x00"))
	memfd := int(c.sys(unix.SYS_MEMFD_CREATE, scratch, 0))
	c.sys(unix.SYS_FTRUNCATE, uint64(memfd), 64*PageSize)

	at := uint64(base)
	var areas []*area
	add := func(kind record.Vma_Kind, fd int, offset uint64, prot int, flags ...string) *area {
		v := &record.Vma{MmId: 7, Start: at, End: at + 64*PageSize, Prot: uint32(prot), Kind: kind, Offset: offset, Flags: flags}
		at += 128 * PageSize
		a := &area{vma: v, fd: fd, final: prot, path: path}
		areas = append(areas, a)
		return a
	}
	touch := func(a *area, pages ...uint64) {
		a.fill = func(c *child) {
			for _, p := range pages {
				c.touch(a.vma.Start + p*PageSize)
			}
		}
	}
	a := add(record.Vma_ANON_PRIVATE, -1, 0, prw)
	a.fill = func(c *child) {
		s := a.vma.Start
		for _, p := range []uint64{0, 1, 9, 63} {
			c.touch(s + p*PageSize)
		}
		c.write(s+20*PageSize, make([]byte, 3*PageSize)) // zeros, but touched
		c.sys(unix.SYS_MADVISE, s+30*PageSize, PageSize, unix.MADV_POPULATE_READ)
	}
	touch(add(record.Vma_ANON_PRIVATE, -1, 0, unix.PROT_NONE), 3, 4, 40)
	touch(add(record.Vma_ANON_PRIVATE, -1, 0, unix.PROT_READ), 0, 63)
	touch(add(record.Vma_ANON_PRIVATE, -1, 0, unix.PROT_EXEC), 5)
	touch(add(record.Vma_ANON_PRIVATE, -1, 0, prw, "gd"), 61, 62, 63)
	touch(add(record.Vma_FILE_PRIVATE, fd, 0, unix.PROT_READ|unix.PROT_EXEC), 2)

	f := add(record.Vma_FILE_PRIVATE, fd, 0, prw)
	f.fill = func(c *child) {
		c.sys(unix.SYS_MADVISE, f.vma.Start, 8*PageSize, unix.MADV_POPULATE_READ)
		c.touch(f.vma.Start + 1*PageSize)
		c.write(f.vma.Start+5*PageSize, make([]byte, 2*PageSize)) // zeros over the file's
	}
	add(record.Vma_FILE_SHARED, fd, 0, prw).fill = func(c *child) {}

	s := add(record.Vma_ANON_SHARED, memfd, 0, prw)
	s.vma.ShmemId, s.vma.ShmemSize = 3, 64*PageSize
	touch(s, 0, 7, 50)
	s2 := add(record.Vma_ANON_SHARED, memfd, 32*PageSize, unix.PROT_NONE) // sees the second half
	s2.vma.ShmemId, s2.vma.End = 3, s2.vma.Start+32*PageSize
	touch(s2)

	d := add(record.Vma_ANON_PRIVATE, -1, 0, prw, "dp")
	touch(d, 0, 1)
	d.lost = true
	if _, err := c.try(unix.SYS_MMAP, d.vma.Start, PageSize, prw, 0x08|unix.MAP_ANONYMOUS, ^uint64(0), 0); err != nil {
		areas = areas[:len(areas)-1] // before Linux 6.11
	} else {
		c.sys(unix.SYS_MUNMAP, d.vma.Start, PageSize)
	}
	for _, a := range areas {
		a.mapIn(c, prw)
		a.fill(c)
		c.sys(unix.SYS_MPROTECT, a.vma.Start, a.vma.End-a.vma.Start, uint64(a.final))
	}
	return areas
}

func spaceOf(c *child, areas []*area) []space {
	s := space{mm: 7, tids: []int{c.pid}}
	for _, a := range areas {
		s.vmas = append(s.vmas, a.vma)
	}
	return []space{s}
}

// save dumps spaces as a whole stream to f.
func save(t testing.TB, f *os.File, spaces []space, opt Options) {
	t.Helper()
	w := record.NewWriter(f)
	if err := w.Add(&record.Record{Body: &record.Record_Header{Header: &record.Header{Arch: "amd64"}}}, nil); err != nil {
		t.Fatal(err)
	}
	out, err := newOutput(w, stage.NewOutlet(f))
	if err != nil {
		t.Fatal(err)
	}
	x, err := dump(context.Background(), spaces, out, opt, func(int) {})
	if err == nil {
		err = w.EndStage("pagedump", "test")
	}
	if err == nil {
		err = w.End(&record.Index{Blocks: x.blocks()})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// restore loads a stream; f is nil when r isn't a regular file.
func restore(r io.Reader, f *os.File, spaces []space, opt LoadOptions) (*Guards, error) {
	l := NewLayout()
	for _, s := range spaces {
		l.Add(s.mm, s.vmas)
	}
	rd, err := record.NewReader(r)
	if err != nil {
		return nil, err
	}
	for {
		frame, err := rd.Next()
		if err != nil {
			return nil, err
		}
		if frame.Record.GetPages() == nil {
			continue
		}
		add := func(*record.Record, []byte) error { return nil }
		if f != nil {
			return LoadFile(context.Background(), f, rd, frame, l, add, opt)
		}
		return LoadStream(context.Background(), rd, frame, l, add, opt)
	}
}

func TestRoundTrip(t *testing.T) {
	for _, c := range []struct {
		name     string
		pipe     bool
		before   string // bytes in the file before the stream
		append   bool
		compress bool
	}{
		{name: "file"}, {name: "pipe", pipe: true}, {name: "lz4", compress: true},
		{name: "lz4 pipe", compress: true, pipe: true}, {name: "behind", before: "something"}, {name: "append", append: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := newChild(t)
			areas := victimAreas(t, src)
			spaces := spaceOf(src, areas)
			opt := Options{Compress: c.compress}
			dst := newChild(t)
			shm, err := unix.MemfdCreate("restored", 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(shm)
			fd := dst.openFile(areas)
			for _, a := range areas {
				b := *a
				switch {
				case a.vma.Kind == record.Vma_ANON_SHARED:
					continue
				case a.fd >= 0:
					b.fd = fd
				}
				b.mapIn(dst, b.final)
			}
			lopt := LoadOptions{
				Target: func(mm uint64) (int, bool) { return dst.pid, mm == 7 },
				Shared: func(id uint64) (int, bool) { return shm, id == 3 },
			}
			var guards *Guards
			if c.pipe {
				pr, pw, _ := os.Pipe()
				go func() { save(t, pw, spaces, opt); pw.Close() }()
				guards, err = restore(pr, nil, spaces, lopt)
			} else {
				f := imageFile(t, c.before, c.append)
				save(t, f, spaces, opt)
				f.Seek(int64(len(c.before)), io.SeekStart)
				guards, err = restore(f, f, spaces, lopt)
			}
			if err != nil {
				t.Fatal(err)
			}
			for start, end := range guards.Of(7) {
				t.Errorf("guard region %#x-%#x", start, end)
			}
			for _, a := range areas {
				compare(t, a, src, dst, shm)
			}
		})
	}
}

func (c *child) openFile(areas []*area) int {
	for _, a := range areas {
		if a.vma.Kind == record.Vma_FILE_PRIVATE {
			return c.shareFile(a)
		}
	}
	c.t.Fatal("no file")
	return -1
}

func imageFile(t testing.TB, before string, add bool) *os.File {
	t.Helper()
	flags := os.O_RDWR | os.O_CREATE
	if add {
		flags |= os.O_APPEND
	}
	f, err := os.OpenFile(filepath.Join(t.TempDir(), "img"), flags, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	f.WriteString(before)
	return f
}

// compare compares an area's pages, one by one.
func compare(t *testing.T, a *area, src, dst *child, shm int) {
	t.Helper()
	for at := a.vma.Start; at < a.vma.End; at += PageSize {
		want, got := src.read(at, PageSize), make([]byte, PageSize)
		if a.lost {
			want = make([]byte, PageSize)
		}
		if a.vma.Kind == record.Vma_ANON_SHARED {
			unix.Pread(shm, got, int64(at-a.vma.Start+a.vma.Offset))
		} else {
			got = dst.read(at, PageSize)
		}
		if !bytes.Equal(want, got) {
			t.Errorf("%v %v prot %d: page %d: %.20q, want %.20q", a.vma.Kind, a.vma.Flags, a.final, (at-a.vma.Start)/PageSize, got, want)
		}
	}
}
