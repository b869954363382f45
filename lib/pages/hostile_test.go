package pages

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"floe/lib/cli"
	"floe/lib/record"
	"floe/lib/stage"
)

// stream is a whole image with the given Pages records in it.
func stream(t testing.TB, recs []*record.Record, payloads [][]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := record.NewWriter(&out)
	for i, rec := range recs {
		if err := w.AddAligned(rec, payloads[i], PageSize); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.EndStage("pagedump", "test"); err != nil {
		t.Fatal(err)
	}
	if err := w.End(&record.Index{}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func pagesRecord(mm, shmem uint64, e record.Pages_Encoding, runs ...Run) *record.Record {
	p := &record.Pages{MmId: mm, ShmemId: shmem, Encoding: e}
	for _, r := range runs {
		p.Runs = append(p.Runs, &record.Pages_Run{Vaddr: r.Addr, Pages: r.Pages})
	}
	return &record.Record{Body: &record.Record_Pages{Pages: p}}
}

// hostileVmas are an address space with one place of each kind.
func hostileVmas() []*record.Vma {
	vma := func(n uint64, kind record.Vma_Kind, flags ...string) *record.Vma {
		return &record.Vma{MmId: 7, Start: base + n<<20, End: base + n<<20 + 16*PageSize, Kind: kind, Prot: prw, Flags: flags}
	}
	shm := vma(5, record.Vma_ANON_SHARED)
	shm.ShmemId, shm.ShmemSize = 3, 16*PageSize
	return []*record.Vma{
		vma(0, record.Vma_ANON_PRIVATE), vma(1, record.Vma_FILE_PRIVATE), vma(2, record.Vma_FILE_SHARED),
		vma(3, record.Vma_SPECIAL), vma(4, record.Vma_ANON_PRIVATE, "dp"), shm,
	}
}

// TestHostile loads images that want pages where none may go, or lie about
// their sizes: each is refused as a bad image, and nothing is written.
func TestHostile(t *testing.T) {
	page := bytes.Repeat([]byte{0xee}, PageSize)
	raw, lz, zero, guard := record.Pages_RAW, record.Pages_LZ4, record.Pages_ZERO, record.Pages_GUARD
	at := func(n uint64) uint64 { return base + n<<20 }
	for _, c := range []struct {
		name    string
		rec     *record.Record
		payload []byte
		want    string
	}{
		{"before a mapping", pagesRecord(7, 0, raw, Run{base - PageSize, 1}), page, "no private mapping"},
		{"over its end", pagesRecord(7, 0, raw, Run{base + 15*PageSize, 2}), append(page, page...), "no private mapping"},
		{"second run outside", pagesRecord(7, 0, raw, Run{base, 1}, Run{base + 16*PageSize, 1}), append(page, page...), "no private mapping"},
		{"shared file", pagesRecord(7, 0, raw, Run{at(2), 1}), page, "no private mapping"},
		{"the vDSO", pagesRecord(7, 0, raw, Run{at(3), 1}), page, "no private mapping"},
		{"droppable", pagesRecord(7, 0, raw, Run{at(4), 1}), page, "no private mapping"},
		{"shared memory by address", pagesRecord(7, 0, raw, Run{at(5), 1}), page, "no private mapping"},
		{"another mm", pagesRecord(8, 0, raw, Run{base, 1}), page, "no private mapping"},
		{"unaligned", pagesRecord(7, 0, raw, Run{base + 1, 1}), page, "impossible run"},
		{"no pages", pagesRecord(7, 0, raw, Run{base, 0}), nil, "impossible run"},
		{"overflow", pagesRecord(7, 0, zero, Run{base, math.MaxUint64 / PageSize}), nil, "impossible run"},
		{"overflow of 64 bits", pagesRecord(7, 0, zero, Run{math.MaxUint64 &^ (PageSize - 1), 2}), nil, "impossible run"},
		{"payload too short", pagesRecord(7, 0, raw, Run{base, 2}), page, "payload of 4096 bytes for 2 pages"},
		{"payload too long", pagesRecord(7, 0, raw, Run{base, 1}), append(page, page...), "payload of 8192 bytes for 1 pages"},
		{"zero with payload", pagesRecord(7, 0, zero, Run{base, 1}), page, "payload of 4096 bytes"},
		{"guard with payload", pagesRecord(7, 0, guard, Run{base, 1}), page, "payload of 4096 bytes"},
		{"lz4 without payload", pagesRecord(7, 0, lz, Run{base, 1}), nil, "payload of 0 bytes"},
		{"lz4 garbage", pagesRecord(7, 0, lz, Run{base, 1}), page[:100], "lz4 block"},
		{"lz4 of fewer bytes", pagesRecord(7, 0, lz, Run{base, 2}), lz4Block(t, page), "lz4 block"},
		{"lz4 of more bytes", pagesRecord(7, 0, lz, Run{base, 1}), lz4Block(t, append(page, page...)), "lz4 block"},
		{"very many runs", pagesRecord(7, 0, guard, make([]Run, maxRecordRuns+1)...), nil, "8193 runs, the limit is 8192"},
		{"encoding", pagesRecord(7, 0, 99, Run{base, 1}), page, "unknown encoding"},
		{"shared object too small", pagesRecord(0, 3, raw, Run{16 * PageSize, 1}), page, "which it doesn't have"},
		{"no such shared object", pagesRecord(0, 4, raw, Run{0, 1}), page, "which it doesn't have"},
		{"of both", pagesRecord(7, 3, raw, Run{base, 1}), page, "only be of one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := stream(t, []*record.Record{c.rec}, [][]byte{c.payload})
			spaces := []space{{mm: 7, vmas: hostileVmas()}}
			opt := LoadOptions{ // any use of these would be an error of another kind
				Target: func(uint64) (int, bool) { t.Error("asked for a target"); return 0, false },
				Shared: func(uint64) (int, bool) { t.Error("asked for shared memory"); return 0, false },
			}
			_, err := restore(bytes.NewReader(s), nil, spaces, opt)
			f := imageFile(t, string(s), false)
			f.Seek(0, io.SeekStart)
			_, errFile := restore(f, f, spaces, opt)
			for _, err := range []error{err, errFile} {
				var bad *cli.ExitError
				if err == nil || !strings.Contains(err.Error(), c.want) || !errors.As(err, &bad) || bad.Code != cli.StatusBadInput {
					t.Errorf("error %v (%T), want a bad image: %q", err, err, c.want)
				}
			}
		})
	}
}

// TestTwice loads images that have runs without bytes in another order than that
// of their addresses: they could have them any number of times.
func TestTwice(t *testing.T) {
	zero, guard := record.Pages_ZERO, record.Pages_GUARD
	spaces := []space{{mm: 7, vmas: hostileVmas()}, {mm: 8, vmas: hostileVmas()}}
	anonymous := Run{base, 4}
	for _, c := range []struct {
		name string
		recs []*record.Record
		ok   bool
	}{
		{"the same zeros", []*record.Record{pagesRecord(7, 0, zero, anonymous), pagesRecord(7, 0, zero, anonymous)}, false},
		{"in one record", []*record.Record{pagesRecord(7, 0, zero, anonymous, anonymous)}, false},
		{"they overlap", []*record.Record{pagesRecord(7, 0, zero, anonymous, Run{base + 3*PageSize, 2})}, false},
		{"backwards", []*record.Record{pagesRecord(7, 0, guard, Run{base + 8*PageSize, 1}, anonymous)}, false},
		{"the same guard regions", []*record.Record{pagesRecord(7, 0, guard, anonymous), pagesRecord(7, 0, guard, anonymous)}, false},
		{"of shared memory", []*record.Record{pagesRecord(0, 3, zero, Run{0, 4}), pagesRecord(0, 3, zero, Run{0, 1})}, false},
		{"forwards, of several owners", []*record.Record{
			pagesRecord(7, 0, zero, anonymous, Run{base + 4*PageSize, 1}), pagesRecord(8, 0, zero, anonymous),
			pagesRecord(7, 0, guard, anonymous), pagesRecord(0, 3, zero, Run{0, 1}), pagesRecord(7, 0, zero, Run{base + 9*PageSize, 1}),
		}, true},
	} {
		opt := LoadOptions{Target: func(uint64) (int, bool) { t.Error("asked for a target"); return 0, false }}
		_, err := restore(bytes.NewReader(stream(t, c.recs, make([][]byte, len(c.recs)))), nil, spaces, opt)
		var bad *cli.ExitError
		if c.ok != (err == nil) || err != nil && (!strings.Contains(err.Error(), "comes after those up to") || !errors.As(err, &bad) || bad.Code != cli.StatusBadInput) {
			t.Errorf("%s: error %v", c.name, err)
		}
	}
}

// TestManyZeros loads an image of no size that wants very many zeros over a
// file: more than there is memory for, and as many as a process may have had,
// until it is told to end.
func TestManyZeros(t *testing.T) {
	const size = 1 << 40
	spaces := []space{{mm: 7, vmas: []*record.Vma{
		{MmId: 7, Start: base, End: base + size, Kind: record.Vma_ANON_PRIVATE},
		{MmId: 7, Start: base + size, End: base + 2*size, Kind: record.Vma_FILE_PRIVATE},
	}}}
	s := stream(t, []*record.Record{pagesRecord(7, 0, record.Pages_ZERO, Run{base, 2 * size / PageSize})}, [][]byte{nil})
	never := LoadOptions{Memory: size - 1, Target: func(uint64) (int, bool) { t.Error("asked for a target"); return 0, false }}
	var bad *cli.ExitError
	if _, err := restore(bytes.NewReader(s), nil, spaces, never); err == nil || errors.As(err, &bad) || !strings.Contains(err.Error(), "this machine has no more") {
		t.Errorf("zeros of %d bytes: error %v", size, err)
	}
	guard := stream(t, []*record.Record{pagesRecord(7, 0, record.Pages_GUARD, Run{base, 2 * size / PageSize})}, [][]byte{nil})
	for memory, ok := range map[uint64]bool{2*size/PageSize*8 - 1: false, 2 * size / PageSize * 8: true} {
		never.Memory = memory
		if _, err := restore(bytes.NewReader(guard), nil, spaces, never); ok != (err == nil) {
			t.Errorf("guard regions of %d bytes: error %v", 2*size, err)
		}
	}
	c := newChild(t)
	c.mmap(base+size, 64, prw, anon(), -1, 0)
	ctx, cancel := context.WithCancelCause(context.Background())
	over := errors.New("enough")
	asked := 0
	opt := LoadOptions{Workers: 1, Memory: size, Target: func(uint64) (int, bool) {
		if asked++; asked == 1 {
			cancel(over)
		}
		return c.pid, true
	}}
	rd, err := record.NewReader(bytes.NewReader(s))
	if err != nil {
		t.Fatal(err)
	}
	frame, err := rd.Next()
	if err != nil {
		t.Fatal(err)
	}
	l := NewLayout()
	l.Add(7, spaces[0].vmas)
	if _, err := LoadStream(ctx, rd, frame, l, func(*record.Record, []byte) error { return nil }, opt); !errors.Is(err, over) || asked != 1 {
		t.Errorf("error %v after %d writes, want %v after one", err, asked, over)
	}
}

func lz4Block(t testing.TB, b []byte) []byte {
	p := &packer{compress: true}
	out := p.squeeze(b)
	if out == nil {
		t.Fatal("it doesn't compress")
	}
	return append([]byte(nil), out...)
}

// TestDamage flips bytes all over an image, and cuts it: a load must never
// report success.
func TestDamage(t *testing.T) {
	c := newChild(t)
	c.mmap(base, 16, prw, anon(), -1, 0)
	v := &record.Vma{MmId: 7, Start: base, End: base + 16*PageSize, Prot: prw}
	rng := rand.NewChaCha8([32]byte{})
	data := make([]byte, 3*PageSize)
	rng.Read(data)
	good := stream(t, []*record.Record{
		pagesRecord(7, 0, record.Pages_RAW, Run{base, 1}, Run{base + 4*PageSize, 2}),
		pagesRecord(7, 0, record.Pages_ZERO, Run{base + 8*PageSize, 4}),
		pagesRecord(7, 0, record.Pages_LZ4, Run{base + 12*PageSize, 2}),
	}, [][]byte{data, nil, lz4Block(t, make([]byte, 2*PageSize))})
	opt := LoadOptions{Target: func(uint64) (int, bool) { return c.pid, true }}
	spaces := []space{{mm: 7, vmas: []*record.Vma{v}}}
	try := func(b []byte) []error {
		f := imageFile(t, string(b), false)
		defer os.Remove(f.Name())
		f.Seek(0, io.SeekStart)
		_, errFile := restore(f, f, spaces, opt)
		f.Close()
		_, err := restore(bytes.NewReader(b), nil, spaces, opt)
		return []error{err, errFile}
	}
	for _, err := range try(good) {
		if err != nil {
			t.Fatal(err)
		}
	}
	bad := bytes.Clone(good)
	for i := 0; i < len(good); i += 1 + i/64 {
		bad[i] ^= 0x10
		for way, err := range try(bad) {
			if err == nil {
				t.Errorf("byte %d flipped: no error (file: %d)", i, way)
			}
		}
		bad[i] ^= 0x10
		for way, err := range try(good[:i]) {
			if err == nil {
				t.Errorf("cut at %d: no error (file: %d)", i, way)
			}
		}
	}
}

// TestTargetGone loads into a task that does not exist any more, and into one
// that has not mapped what the image says.
func TestTargetGone(t *testing.T) {
	c := newChild(t)
	page := bytes.Repeat([]byte{1}, PageSize)
	s := stream(t, []*record.Record{pagesRecord(7, 0, record.Pages_RAW, Run{base, 1})}, [][]byte{page})
	spaces := []space{{mm: 7, vmas: []*record.Vma{{MmId: 7, Start: base, End: base + PageSize}}}}
	for _, pid := range []int{c.pid, 1 << 22} {
		_, err := restore(bytes.NewReader(s), nil, spaces, LoadOptions{Target: func(uint64) (int, bool) { return pid, true }})
		var bad *cli.ExitError
		if err == nil || errors.As(err, &bad) {
			t.Errorf("task %d: error %v, want one of the system", pid, err)
		}
	}
}

// TestSinkFails fills the disk and closes the pipe under a dump.
func TestSinkFails(t *testing.T) {
	c := newChild(t)
	c.mmap(base, 4096, prw, anon(), -1, 0)
	for p := uint64(0); p < 4096; p++ {
		c.touch(base + p*PageSize)
	}
	spaces := []space{{mm: 7, tids: []int{c.pid}, vmas: []*record.Vma{{MmId: 7, Start: base, End: base + 4096*PageSize, Prot: prw}}}}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	pr, pw, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	pr.Close()
	defer pw.Close()
	for want, f := range map[error]*os.File{unix.ENOSPC: full, unix.EPIPE: pw} {
		_, err := dump(context.Background(), spaces, &output{w: record.NewWriter(io.Discard), out: stage.NewOutlet(f)}, Options{}, func(int) {})
		if !errors.Is(err, want) {
			t.Errorf("%s: error %v, want %v", f.Name(), err, want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := dump(ctx, spaces, &output{w: record.NewWriter(io.Discard), out: stage.NewOutlet(full)}, Options{}, func(int) {}); err == nil {
		t.Error("a cancelled dump succeeds")
	}
	c.sys(unix.SYS_MUNMAP, base+2000*PageSize, PageSize)
	mem := newMemory(c.pid)
	if err := mem.read(&iovecs{}, []Run{{base + 1990*PageSize, 20}}, make([]byte, 20*PageSize)); err == nil || !strings.Contains(err.Error(), "0x10007d0000") {
		t.Errorf("read of an unmapped page: %v, want its address", err)
	}
}
