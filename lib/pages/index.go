package pages

import "floe/lib/record"

// maxIndex bounds the entries of the index (about 1 MiB of it in the stream)
// but for the first one of each owner.
const maxIndex = 1 << 15

// index collects the table of where page records stand. When it has too many
// entries, an entry comes to stand for twice as many records.
type index struct {
	max     int
	stride  int // records an entry stands for at most
	entries []indexEntry
}

type indexEntry struct {
	owner         owner
	offset, vaddr uint64
	pages         uint64
	records       int
}

func newIndex(max int) *index { return &index{max: max, stride: 1} }

// add notes a record; records come in the order of the stream.
func (x *index) add(e indexEntry) {
	e.records = 1
	if n := len(x.entries); n > 0 && x.entries[n-1].joins(e, x.stride) {
		x.entries[n-1].join(e)
		return
	}
	x.entries = append(x.entries, e)
	if len(x.entries) > x.max {
		x.coalesce()
	}
}

func (e *indexEntry) joins(next indexEntry, stride int) bool {
	return e.owner == next.owner && e.records+next.records <= stride
}

func (e *indexEntry) join(next indexEntry) {
	e.pages += next.pages
	e.records += next.records
}

// coalesce halves the table. If most entries are of different owners it can't,
// and the limit is raised instead.
func (x *index) coalesce() {
	x.stride *= 2
	kept := x.entries[:0]
	for _, e := range x.entries {
		if n := len(kept); n > 0 && kept[n-1].joins(e, x.stride) {
			kept[n-1].join(e)
			continue
		}
		kept = append(kept, e)
	}
	x.entries = kept
	if len(kept) > x.max*3/4 {
		x.max *= 2
	}
}

// blocks is the table as it stands in the Index record.
func (x *index) blocks() []*record.Index_PageBlock {
	out := make([]*record.Index_PageBlock, len(x.entries))
	for i, e := range x.entries {
		out[i] = &record.Index_PageBlock{
			MmId: e.owner.mm, ShmemId: e.owner.shmem, Offset: e.offset, Vaddr: e.vaddr, Pages: e.pages,
		}
	}
	return out
}
