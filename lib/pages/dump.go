package pages

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	"floe/lib/calm"
	"floe/lib/record"
)

// Options of a dump.
type Options struct {
	Compress bool // lz4
	Workers  int  // 0: one a processor, MaxWorkers at most
}

func (o Options) workers() int {
	n := o.Workers
	if n <= 0 {
		n = runtime.NumCPU()
	}
	return min(n, MaxWorkers)
}

// space is an address space to be saved.
type space struct {
	mm   uint64
	tids []int // tasks that have it; the first may be dead
	vmas []*record.Vma
}

// dumper is one dump at work.
type dumper struct {
	Options
	ctx    context.Context
	commit *committer
	work   chan *block
	wg     sync.WaitGroup
	feed   collector
	shared map[uint64]*shared
	order  []*shared

	started int // workers
}

// dump saves the spaces' memory to the sink and returns the index of it.
// saved is told the bytes written, as they are.
func dump(ctx context.Context, spaces []space, s sink, opt Options, saved func(int)) (*index, error) {
	d := &dumper{Options: opt, ctx: ctx, commit: newCommitter(s, opt.workers()+batchBlocks, saved), work: make(chan *block), shared: map[uint64]*shared{}}
	d.feed.out = d.submit
	err := d.scan(spaces)
	close(d.work)
	d.wg.Wait()
	for _, o := range d.order {
		o.done()
	}
	if failed := d.commit.failed(); failed != nil {
		err = failed // before err: that may only say that the work had failed
	}
	if err == nil {
		err = d.commit.finish()
	}
	if closed := s.close(); err == nil && closed != nil {
		err = fmt.Errorf("the end of the image: %w", closed)
	}
	return d.commit.index, err
}

// submit gives a block to a worker, if the work has not failed yet.
func (d *dumper) submit(b *block) error {
	if err := d.commit.failed(); err != nil {
		b.src.done()
		return err
	}
	if err := d.ctx.Err(); err != nil {
		b.src.done()
		return err
	}
	select {
	case d.work <- b: // to one that has nothing to do
		return nil
	default:
	}
	if d.started < d.workers() {
		if d.started++; d.started == 2 {
			calm.Widen()
		}
		d.wg.Go(d.worker)
	}
	select {
	case d.work <- b:
		return nil
	case <-d.ctx.Done():
		b.src.done()
		return d.ctx.Err()
	}
}

func (d *dumper) worker() {
	p := &packer{compress: d.Compress}
	for {
		buf := d.commit.buffer()
		b, ok := <-d.work
		if !ok {
			d.commit.free <- buf
			return
		}
		out, buf, err := p.pack(b, buf)
		b.src.done()
		if err != nil {
			d.commit.fail(err)
		}
		d.commit.commit(parcel{b, out, buf})
	}
}

// scan makes blocks of all that is to be saved: address spaces one after
// another, then the shared objects.
func (d *dumper) scan(spaces []space) error {
	for _, s := range spaces {
		if err := d.scanSpace(s); err != nil {
			return err
		}
	}
	for _, o := range d.order {
		if err := o.open(); err != nil {
			return err
		}
		own := owner{shmem: o.id}
		if err := o.scan(func(e extent) error { return d.feed.add(own, o, e) }); err != nil {
			return err
		}
	}
	return d.feed.flush()
}

func (d *dumper) scanSpace(s space) error {
	scan, pid, err := openSpace(s)
	if err != nil {
		return err
	}
	defer scan.Close()
	mem, own := newMemory(pid), owner{mm: s.mm}
	defer mem.done()
	for _, v := range s.vmas {
		if v.Kind == record.Vma_ANON_SHARED {
			d.share(v, mem)
		}
		look := scan.scan
		if !Saves(v) {
			if look = scan.guards; !Guardable(v) || !sharedGuards() {
				continue
			}
		}
		if err := look(v.Start, v.End, func(e extent) error { return d.feed.add(own, mem, e) }); err != nil {
			return err
		}
	}
	return nil
}

// share notes a mapping of a shared object.
func (d *dumper) share(v *record.Vma, mem *memory) {
	o := d.shared[v.ShmemId]
	if o == nil {
		o = &shared{id: v.ShmemId}
		o.refs.Store(1)
		d.shared[v.ShmemId] = o
		d.order = append(d.order, o)
	}
	mem.hold()
	o.maps = append(o.maps, mapping{mem: mem, start: v.Start, end: v.End, offset: v.Offset})
}

// openSpace opens the pagemap of a task that has the address space and is not
// dead: of a process whose first thread has ended, only the others have it.
func openSpace(s space) (*scanner, int, error) {
	err := error(unix.ESRCH)
	for _, tid := range s.tids {
		var scan *scanner
		if scan, err = newScanner(tid); err != nil {
			continue
		}
		if _, err = scan.f.ReadAt(make([]byte, 8), 0); err == nil {
			return scan, tid, nil
		}
		scan.Close()
		if errors.Is(err, io.EOF) {
			err = unix.ESRCH // it has no memory any more
		}
	}
	return nil, 0, fmt.Errorf("address space %d: no task of it is left: %w", s.mm, err)
}
