package pages

import (
	"encoding/binary"
	"iter"
)

// Guards are the guard regions of an image, which each task has to install
// itself, with madvise(MADV_GUARD_INSTALL): nobody else can. A process may have
// any number of them, so they are kept packed: for each the pages between the
// end of the one before and it, and its own pages, as varints.
type Guards struct {
	spaces map[uint64]*guardList // by mm_id
}

type guardList struct {
	chunks  [][]byte
	packed  uint64 // end of the last one that is packed
	pending Run    // the last one: the next may continue it
}

// A chunk of packed guard regions, bytes: the first, the largest, and the most
// that one region takes.
const (
	firstChunk = 64
	mostChunk  = 64 << 10
	mostPacked = 2 * binary.MaxVarintLen64
)

// add adds a region of an address space, after all others of it.
func (g *Guards) add(mm uint64, r Run) {
	if g.spaces == nil {
		g.spaces = map[uint64]*guardList{}
	}
	l := g.spaces[mm]
	if l == nil {
		l = &guardList{}
		g.spaces[mm] = l
	}
	if l.pending.Pages > 0 && l.pending.End() == r.Addr {
		l.pending.Pages += r.Pages
		return
	}
	l.pack()
	l.pending = r
}

func (l *guardList) pack() {
	if l.pending.Pages == 0 {
		return
	}
	n := len(l.chunks)
	if n == 0 || cap(l.chunks[n-1])-len(l.chunks[n-1]) < mostPacked {
		size := firstChunk
		if n > 0 {
			size = min(2*cap(l.chunks[n-1]), mostChunk)
		}
		l.chunks = append(l.chunks, make([]byte, 0, size))
		n++
	}
	b := binary.AppendUvarint(l.chunks[n-1], (l.pending.Addr-l.packed)/PageSize)
	l.chunks[n-1] = binary.AppendUvarint(b, l.pending.Pages)
	l.packed = l.pending.End()
}

// Any tells whether there are guard regions at all.
func (g *Guards) Any() bool { return len(g.spaces) > 0 }

// Spaces gives the address spaces that have guard regions, by mm_id.
func (g *Guards) Spaces() iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		for mm := range g.spaces {
			if !yield(mm) {
				return
			}
		}
	}
}

// Of gives the guard regions of an address space, from start to end, in order.
func (g *Guards) Of(mm uint64) iter.Seq2[uint64, uint64] {
	return func(yield func(start, end uint64) bool) {
		l := g.spaces[mm]
		if l == nil {
			return
		}
		at := uint64(0)
		for _, b := range l.chunks {
			for len(b) > 0 {
				gap, n := binary.Uvarint(b)
				pages, k := binary.Uvarint(b[n:])
				b = b[n+k:]
				start := at + gap*PageSize
				at = start + pages*PageSize
				if !yield(start, at) {
					return
				}
			}
		}
		if l.pending.Pages > 0 {
			yield(l.pending.Addr, l.pending.End())
		}
	}
}
