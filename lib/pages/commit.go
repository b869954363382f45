package pages

import (
	"sync"

	"floe/lib/record"
)

// maxRuns is how many runs without bytes are collected for one record.
const maxRuns = 2048

// batchBlocks is how many blocks are written in one system call at most.
const batchBlocks = 4

// sink is where records go. Only one goroutine uses it at a time.
type sink interface {
	// put adds a record with its payload, both in memory until write. It
	// returns the record's offset in the stream.
	put(rec *record.Record, payload []byte, crc uint32) (off int64, err error)
	// write writes out all that was put.
	write() error
	// close ends the dump: whatever comes next goes behind what was written.
	close() error
}

// parcel is a block with what was made of it, and the buffer that this is in.
type parcel struct {
	*block
	packed
	buf []byte
}

// committer puts blocks into the stream in their order, whichever worker is
// ready first. A file's kernel lock lets one write(2) in at a time, as a pipe
// does, so workers don't queue up there: the one that finds nobody writing
// writes all that is ready, its own and the others', who go on reading
// meanwhile with other buffers.
type committer struct {
	mu      sync.Mutex
	ready   map[uint64]parcel // waiting for their turn, by position
	next    uint64            // position to be written
	writing bool
	err     error // the first; nothing is written after it

	free chan []byte // buffers that nobody uses

	// What follows belongs to the one that writes.
	sink        sink
	index       *index
	owner       owner // of the runs below
	zero, guard []Run
	saved       func(bytes int)
}

// newCommitter has n buffers to give out.
func newCommitter(s sink, n int, saved func(int)) *committer {
	c := &committer{sink: s, index: newIndex(maxIndex), saved: saved, ready: map[uint64]parcel{}, free: make(chan []byte, n)}
	for range n {
		c.free <- nil
	}
	return c
}

// buffer gives out a buffer, nil at first, when there is one. Who waits for one
// must not hold a block: it may be the one that all others wait for.
func (c *committer) buffer() []byte { return <-c.free }

// fail ends the work with err, unless it has failed before.
func (c *committer) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
}

func (c *committer) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// commit takes a block that is ready, and writes what can be written if nobody
// else is at it.
func (c *committer) commit(p parcel) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ready[p.seq] = p
	if c.writing {
		return
	}
	c.writing = true
	defer func() { c.writing = false }()
	for {
		batch := c.turn()
		if len(batch) == 0 {
			return
		}
		bad := c.err != nil
		c.mu.Unlock()
		var err error
		if !bad {
			err = c.write(batch)
		}
		for _, p := range batch {
			c.free <- p.buf
		}
		c.mu.Lock()
		if err != nil && c.err == nil {
			c.err = err
		}
	}
}

// turn takes the blocks whose turn it is.
func (c *committer) turn() (batch []parcel) {
	for len(batch) < batchBlocks {
		p, ok := c.ready[c.next]
		if !ok {
			break
		}
		delete(c.ready, c.next)
		c.next++
		batch = append(batch, p)
	}
	return batch
}

func (c *committer) write(batch []parcel) error {
	bytes := 0
	for _, p := range batch {
		if err := c.collect(p); err != nil {
			return err
		}
		if len(p.payload) > 0 {
			if err := c.put(p.owner, p.encoding, p.data, p.payload, p.crc); err != nil {
				return err
			}
			bytes += int(countPages(p.data) * PageSize)
		}
	}
	c.saved(bytes)
	return c.sink.write()
}

// collect keeps runs without bytes until there are enough for a record.
func (c *committer) collect(p parcel) error {
	if p.owner != c.owner {
		if err := c.putRuns(); err != nil {
			return err
		}
		c.owner = p.owner
	}
	c.zero = appendMerged(c.zero, p.known, p.zero)
	for _, r := range p.guard {
		c.guard = appendRun(c.guard, r)
	}
	if len(c.zero) > maxRuns || len(c.guard) > maxRuns {
		return c.putRuns()
	}
	return nil
}

// finish writes what was collected, once all workers are done.
func (c *committer) finish() error {
	if err := c.putRuns(); err != nil {
		return err
	}
	return c.sink.write()
}

// putRuns adds the records of the runs without bytes.
func (c *committer) putRuns() error {
	for _, f := range []struct {
		runs *[]Run
		e    record.Pages_Encoding
	}{{&c.zero, record.Pages_ZERO}, {&c.guard, record.Pages_GUARD}} {
		if len(*f.runs) == 0 {
			continue
		}
		if err := c.put(c.owner, f.e, *f.runs, nil, 0); err != nil {
			return err
		}
		*f.runs = (*f.runs)[:0]
	}
	return nil
}

func (c *committer) put(o owner, e record.Pages_Encoding, runs []Run, payload []byte, crc uint32) error {
	body := &record.Pages{MmId: o.mm, ShmemId: o.shmem, Encoding: e, Runs: make([]*record.Pages_Run, len(runs))}
	store := make([]record.Pages_Run, len(runs))
	for i, r := range runs {
		store[i].Vaddr, store[i].Pages = r.Addr, r.Pages
		body.Runs[i] = &store[i]
	}
	off, err := c.sink.put(&record.Record{Body: &record.Record_Pages{Pages: body}}, payload, crc)
	if err != nil {
		return err
	}
	c.index.add(indexEntry{owner: o, offset: uint64(off), vaddr: runs[0].Addr, pages: countPages(runs)})
	return nil
}
