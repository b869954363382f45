package pages

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"

	"github.com/pierrec/lz4/v4"
	"golang.org/x/sys/unix"

	"floe/lib/calm"
	"floe/lib/cli"
	"floe/lib/crc32c"
	"floe/lib/record"
)

// LoadOptions say where contents go.
type LoadOptions struct {
	// Target is a stopped task that has the address space, with all private
	// vmas mapped where the image has them. Those that are not writable are
	// written all the same.
	Target func(mmID uint64) (pid int, ok bool)
	// Shared is a descriptor of this process's for a shared anonymous object.
	Shared func(shmemID uint64) (fd int, ok bool)
	// Progress, if set, is told the bytes of contents that were written. It may be
	// called by several goroutines at once.
	Progress func(bytes int)
	Workers  int // 0: one a processor, MaxWorkers at most
	// Discard has contents read and verified only: Target and Shared are not asked.
	Discard bool
	// Memory is how many bytes of it there are for what takes no room in the image:
	// zeros that have to be written, page tables of guard regions. 0: any number.
	Memory uint64
}

// job is a Pages record, checked, with what a worker needs to get its payload.
type job struct {
	pages *record.Pages
	crc   uint32
	size  int
	off   int64  // in the file
	buf   []byte // or the payload itself, its checksum verified
}

// loader is one load at work.
type loader struct {
	LoadOptions
	layout *Layout
	file   io.ReaderAt // nil: payloads come with the jobs
	jobs   chan job
	free   chan []byte
	wg     sync.WaitGroup
	cancel context.CancelCauseFunc
	ctx    context.Context
	guards Guards
	taken  uint64 // of Memory

	workers, started int
}

func newLoader(ctx context.Context, l *Layout, file io.ReaderAt, opt LoadOptions) *loader {
	n := opt.Workers
	if n <= 0 {
		n = runtime.NumCPU()
	}
	n = min(n, MaxWorkers)
	d := &loader{LoadOptions: opt, layout: l, file: file, jobs: make(chan job), free: make(chan []byte, n+1)}
	d.ctx, d.cancel = context.WithCancelCause(ctx)
	for range n + 1 {
		d.free <- nil
	}
	d.workers = n
	return d
}

// submit gives a record, which has been checked, to the workers.
func (d *loader) submit(j job) error {
	if withoutBytes(j.pages) {
		if err := d.take(j.pages); err != nil {
			return err
		}
	}
	if j.pages.Encoding == record.Pages_GUARD {
		for _, r := range j.pages.Runs {
			d.guards.add(j.pages.MmId, Run{r.Vaddr, r.Pages})
		}
		return nil
	}
	if d.ctx.Err() != nil {
		return context.Cause(d.ctx)
	}
	select {
	case d.jobs <- j: // to one that has nothing to do
		return nil
	default:
	}
	if d.started < d.workers {
		if d.started++; d.started == 2 {
			calm.Widen()
		}
		d.wg.Go(d.worker)
	}
	select {
	case d.jobs <- j:
		return nil
	case <-d.ctx.Done():
		return context.Cause(d.ctx)
	}
}

// take refuses runs without bytes that there is no memory for.
func (d *loader) take(p *record.Pages) error {
	const entry = 8 // of a page table, bytes
	for _, r := range p.Runs {
		if p.Encoding == record.Pages_GUARD {
			d.taken += r.Pages * entry
			continue
		}
		_ = d.layout.written(p.MmId, Run{r.Vaddr, r.Pages}, func(part Run) error {
			d.taken += part.Pages * PageSize
			return nil
		})
	}
	if d.Memory > 0 && d.taken > d.Memory {
		return fmt.Errorf("its zeros that have to be written and its guard regions take more than %d MiB of memory: this machine has no more", d.Memory>>20)
	}
	return nil
}

// finish waits for the workers and returns the first error of all: err is that
// of who submitted.
func (d *loader) finish(err error) error {
	close(d.jobs)
	if err != nil {
		d.cancel(err)
	}
	d.wg.Wait()
	defer d.cancel(nil)
	return context.Cause(d.ctx)
}

func (d *loader) worker() {
	w := &placer{loader: d}
	defer func() { w.to.Close() }()
	for j := range d.jobs {
		if d.ctx.Err() != nil {
			continue
		}
		if err := w.place(j); err != nil {
			d.cancel(err)
		}
		if j.buf != nil {
			d.free <- j.buf[:cap(j.buf)]
		}
	}
}

func badImage(format string, args ...any) error { return cli.BadInput(fmt.Errorf(format, args...)) }

// placer is one worker: its buffers and the address space it wrote to last.
type placer struct {
	*loader
	iov        iovecs
	buf, plain []byte
	runs       []Run
	to         target
}

// place brings one record's contents to where they belong.
func (w *placer) place(j job) error {
	w.runs = runsOf(j.pages, w.runs)
	if j.pages.Encoding == record.Pages_ZERO {
		if w.Discard {
			return nil
		}
		return w.zero(j.pages)
	}
	b, err := w.payload(j)
	if err != nil {
		return err
	}
	if j.pages.Encoding == record.Pages_LZ4 {
		if b, err = w.unpack(j.pages, b); err != nil {
			return err
		}
	}
	if !w.Discard {
		if err := w.write(j.pages, w.runs, b); err != nil {
			return err
		}
	}
	if w.Progress != nil {
		w.Progress(len(b))
	}
	return nil
}

// payload reads a record's payload and verifies it, if that isn't done yet.
func (w *placer) payload(j job) ([]byte, error) {
	if w.file == nil {
		return j.buf[:j.size], nil
	}
	w.buf = sized(w.buf, uint64(j.size))
	b := w.buf[:j.size]
	var crc uint32
	for at := 0; at < len(b); at += piecePages * PageSize {
		piece, off := b[at:min(at+piecePages*PageSize, len(b))], j.off+int64(at)
		if n, err := w.file.ReadAt(piece, off); err == io.EOF && n < len(piece) {
			return nil, badImage("payload of %d bytes at offset %d: %w", j.size, j.off, io.ErrUnexpectedEOF)
		} else if n < len(piece) {
			return nil, fmt.Errorf("image: payload at offset %d: %w", j.off, err)
		}
		crc = crc32c.Update(crc, piece)
	}
	if crc != j.crc {
		return nil, badImage("payload of %d bytes at offset %d: checksum %#x, not %#x: the image is damaged", j.size, j.off, crc, j.crc)
	}
	return b, nil
}

func (w *placer) unpack(p *record.Pages, b []byte) ([]byte, error) {
	want := int(countPages(w.runs) * PageSize)
	w.plain = sized(w.plain, uint64(want))
	n, err := lz4.UncompressBlock(b, w.plain[:want])
	if err != nil || n != want {
		return nil, badImage("pages record of mm %d at %#x: lz4 block gives %d of %d bytes: %v", p.MmId, w.runs[0].Addr, n, want, err)
	}
	return w.plain[:n], nil
}

// write puts bytes into the runs of an address space or a shared object.
func (w *placer) write(p *record.Pages, runs []Run, b []byte) error {
	if p.MmId == 0 {
		return w.writeShared(p.ShmemId, runs, b)
	}
	pid, ok := w.Target(p.MmId)
	if !ok {
		return badImage("pages record of mm %d, which no task has", p.MmId)
	}
	if pid != w.to.pid {
		w.to.Close()
		w.to = target{pid: pid}
	}
	return w.to.write(&w.iov, runs, b)
}

func (w *placer) writeShared(id uint64, runs []Run, b []byte) error {
	fd, ok := w.Shared(id)
	if !ok {
		return badImage("pages record of shared memory %d, which no task maps", id)
	}
	for _, r := range runs {
		n := r.Pages * PageSize
		for at, part := int64(r.Addr), b[:n]; len(part) > 0; {
			k, err := unix.Pwrite(fd, part, at)
			if err == nil && k == 0 {
				err = io.ErrShortWrite
			}
			if err != nil {
				return fmt.Errorf("shared memory %d: write at %#x: %w", id, at, &os.SyscallError{Syscall: "pwrite", Err: err})
			}
			part, at = part[k:], at+int64(k)
		}
		b = b[n:]
	}
	return nil
}

// zero writes the runs of zeros where something else would be without them.
func (w *placer) zero(p *record.Pages) error {
	for _, r := range w.runs {
		if err := w.layout.written(p.MmId, r, func(part Run) error { return w.zeroRun(p, part) }); err != nil {
			return err
		}
	}
	return nil
}

func (w *placer) zeroRun(p *record.Pages, r Run) error {
	for r.Pages > 0 {
		if w.ctx.Err() != nil {
			return context.Cause(w.ctx)
		}
		n := min(r.Pages, uint64(len(zeros)/PageSize))
		if err := w.write(p, []Run{{r.Addr, n}}, zeros[:n*PageSize]); err != nil {
			return err
		}
		r = Run{r.Addr + n*PageSize, r.Pages - n}
	}
	return nil
}

// zeros is what zeroRun writes; read only.
var zeros [64 * PageSize]byte
