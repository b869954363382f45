package stage

import (
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"floe/lib/lease"
	"floe/lib/record"
)

// progress is what a stage tells freeze while it works: whether anything has
// moved, and what it waits for.
type progress struct {
	steps   atomic.Uint64 // bytes in and out, and what collect has counted
	records *record.Writer
	reading atomic.Bool
	waiting atomic.Bool  // for the reader
	writing atomic.Int32 // the thread that is in a write; 0: none
	last    uint64       // what look has seen
}

// look is for lease.Client.Report.
func (p *progress) look() lease.Kind {
	now := p.steps.Load() + p.records.Frames()
	moved := now != p.last
	p.last = now
	tid := p.writing.Load()
	switch {
	case moved:
		return lease.Moved
	case tid != 0:
		// A write to a pipe or a socket may have got rid of a part. A signal makes
		// it return that, and else go on; Go uses this one for itself.
		_ = unix.Tgkill(os.Getpid(), int(tid), unix.SIGURG)
		return lease.WantsReader
	case p.waiting.Load():
		return lease.WantsReader
	case p.reading.Load():
		return lease.WantsInput
	}
	return lease.Busy
}

// step counts n of anything.
func (p *progress) step(n int) { p.steps.Add(uint64(n)) }

// inlet reads what the stage before writes.
type inlet struct {
	f *os.File
	p *progress
}

func (i inlet) Read(b []byte) (int, error) {
	i.p.reading.Store(true)
	n, err := i.f.Read(b)
	i.p.reading.Store(false)
	i.p.step(n)
	return n, err
}
