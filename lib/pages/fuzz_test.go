package pages

import (
	"bytes"
	"context"
	"io"
	"testing"

	"golang.org/x/sys/unix"

	"floe/lib/record"
)

// FuzzPlace loads one Pages record of any shape into a real task, and looks
// whether anything was written where nothing may be.
func FuzzPlace(f *testing.F) {
	page := bytes.Repeat([]byte{0xee}, PageSize)
	at := func(n uint64) uint64 { return base + n<<20 }
	f.Add(uint64(7), uint64(0), int32(0), at(0), uint64(1), at(1), uint64(1), append(page, page...))
	f.Add(uint64(7), uint64(0), int32(1), at(1), uint64(16), at(0), uint64(3), []byte(nil))
	f.Add(uint64(7), uint64(0), int32(2), at(0)+4*PageSize, uint64(1), at(0), uint64(1), lz4Block(f, append(page, page...)))
	f.Add(uint64(0), uint64(3), int32(0), uint64(0), uint64(1), uint64(PageSize), uint64(1), append(page, page...))
	f.Add(uint64(7), uint64(0), int32(3), at(0), uint64(1), at(1), uint64(2), []byte(nil))
	f.Add(uint64(7), uint64(0), int32(0), at(0)-PageSize, uint64(2), at(2), ^uint64(0), page)

	c := newChild(f)
	shm, err := unix.MemfdCreate("fuzz", 0)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { unix.Close(shm) })
	layout := NewLayout()
	layout.Add(7, hostileVmas())
	c.mmap(base-PageSize, 6<<8, prw, anon(), -1, 0) // more than may be written
	var inside []Run
	for _, v := range layout.vmas[7] {
		inside = append(inside, Run{v.Start, (v.End - v.Start) / PageSize})
	}
	f.Fuzz(func(t *testing.T, mm, shmem uint64, enc int32, a1, n1, a2, n2 uint64, payload []byte) {
		clear(layout.come)
		rec := pagesRecord(mm, shmem, record.Pages_Encoding(enc), Run{a1, n1}, Run{a2, n2})
		s := stream(t, []*record.Record{rec}, [][]byte{payload})
		r, err := record.NewReader(bytes.NewReader(s))
		if err != nil {
			t.Fatal(err)
		}
		first, err := r.Next()
		if err != nil {
			return // more than a record may be
		}
		opt := LoadOptions{
			Workers: 1,
			Target:  func(id uint64) (int, bool) { return c.pid, id == 7 },
			Shared:  func(id uint64) (int, bool) { return shm, id == 3 },
		}
		_, err = LoadStream(context.Background(), r, first, layout, func(*record.Record, []byte) error { return nil }, opt)
		if end, _ := unix.Seek(shm, 0, io.SeekEnd); end > 16*PageSize {
			t.Fatalf("the shared object has %d bytes", end)
		}
		s2, serr := newScanner(c.pid)
		if serr != nil {
			t.Fatal(serr)
		}
		defer s2.Close()
		serr = s2.scan(base-PageSize, base+6<<20-PageSize, func(e extent) error {
			for a := e.Addr; a < e.End(); a += PageSize {
				if !contains(inside, a) {
					t.Fatalf("page %#x was written (load: %v)", a, err)
				}
			}
			return nil
		})
		if serr != nil {
			t.Fatal(serr)
		}
	})
}

func contains(runs []Run, a uint64) bool {
	for _, r := range runs {
		if r.Addr <= a && a < r.End() {
			return true
		}
	}
	return false
}
