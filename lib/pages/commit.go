package pages

import (
	"sync"

	"floe/lib/record"
)

// maxRuns is how many runs without bytes are collected for one record.
const maxRuns = 2048

// sink is where records go.
type sink interface {
	// put adds a record with its payload. What remains to be done, and may be
	// done while others put theirs, is the returned function; it may be nil.
	put(rec *record.Record, payload []byte, crc uint32) (off int64, rest func() error, err error)
}

// committer puts blocks into the stream in their order, whichever worker is
// ready first.
type committer struct {
	mu   sync.Mutex
	turn *sync.Cond
	next uint64 // block to be committed
	err  error  // the first; nothing is committed after it

	sink  sink
	index *index

	owner       owner // of the runs below
	zero, guard []Run
	saved       func(bytes int) // progress; under mu
}

func newCommitter(s sink, saved func(int)) *committer {
	c := &committer{sink: s, index: newIndex(maxIndex), saved: saved}
	c.turn = sync.NewCond(&c.mu)
	return c
}

// fail ends the work with err, unless it has failed before.
func (c *committer) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
	c.turn.Broadcast()
}

func (c *committer) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// commit waits for the block's turn and puts its records into the stream.
func (c *committer) commit(b *block, p packed) error {
	rest, err := c.inTurn(b, p)
	if err == nil && rest != nil {
		err = rest()
	}
	if err != nil {
		c.fail(err)
	}
	return err
}

func (c *committer) inTurn(b *block, p packed) (rest func() error, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.next != b.seq && c.err == nil {
		c.turn.Wait()
	}
	if c.err != nil {
		return nil, c.err
	}
	if err := c.collect(b, p); err != nil {
		return nil, err
	}
	if len(p.payload) > 0 {
		if rest, err = c.put(b.owner, p.encoding, p.data, p.payload, p.crc); err != nil {
			return nil, err
		}
		c.saved(len(p.payload))
	}
	c.next++
	c.turn.Broadcast()
	return rest, nil
}

// collect keeps runs without bytes until there are enough for a record.
func (c *committer) collect(b *block, p packed) error {
	if b.owner != c.owner {
		if err := c.flush(); err != nil {
			return err
		}
		c.owner = b.owner
	}
	for _, r := range b.zero {
		c.zero = appendRun(c.zero, r)
	}
	for _, r := range p.zero {
		c.zero = appendRun(c.zero, r)
	}
	for _, r := range b.guard {
		c.guard = appendRun(c.guard, r)
	}
	if len(c.zero) > maxRuns || len(c.guard) > maxRuns {
		return c.flush()
	}
	return nil
}

// flush writes the records of the runs without bytes. The caller holds mu, or
// all workers are done.
func (c *committer) flush() error {
	for _, f := range []struct {
		runs *[]Run
		e    record.Pages_Encoding
	}{{&c.zero, record.Pages_ZERO}, {&c.guard, record.Pages_GUARD}} {
		if len(*f.runs) == 0 {
			continue
		}
		rest, err := c.put(c.owner, f.e, *f.runs, nil, 0)
		if err == nil && rest != nil {
			err = rest()
		}
		if err != nil {
			return err
		}
		*f.runs = (*f.runs)[:0]
	}
	return nil
}

func (c *committer) put(o owner, e record.Pages_Encoding, runs []Run, payload []byte, crc uint32) (func() error, error) {
	body := &record.Pages{MmId: o.mm, ShmemId: o.shmem, Encoding: e, Runs: make([]*record.Pages_Run, len(runs))}
	store := make([]record.Pages_Run, len(runs))
	for i, r := range runs {
		store[i].Vaddr, store[i].Pages = r.Addr, r.Pages
		body.Runs[i] = &store[i]
	}
	off, rest, err := c.sink.put(&record.Record{Body: &record.Record_Pages{Pages: body}}, payload, crc)
	if err != nil {
		return nil, err
	}
	c.index.add(indexEntry{owner: o, offset: uint64(off), vaddr: runs[0].Addr, pages: countPages(runs)})
	return rest, nil
}
