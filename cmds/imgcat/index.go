package main

import (
	"fmt"
	"sort"

	"floe/lib/record"
)

// place is where a record of pages stands.
type place struct {
	mm, shmem uint64
	offset    int64 // of the frame, bytes from the start of the stream
	vaddr     uint64
	pages     uint64
}

// maxPlaces bounds the memory that checking an index takes: of the records
// after so many, which hold some 128 GiB if they are full, the index is not
// checked.
const maxPlaces = 1 << 17

// places are where the records of pages stand, in the order of the stream.
type places struct {
	list []place
	more bool // there were records past the bound
}

func (l *places) add(offset int64, p *record.Pages) {
	if len(p.Runs) == 0 {
		return
	}
	if l.more = len(l.list) == maxPlaces; l.more {
		return
	}
	at := place{mm: p.MmId, shmem: p.ShmemId, offset: offset, vaddr: p.Runs[0].Vaddr}
	for _, r := range p.Runs {
		at.pages += r.Pages
	}
	l.list = append(l.list, at)
}

// check compares an index with the records. A block of it stands for the record
// where it begins, and for those up to the next block.
func (l *places) check(x *record.Index) error {
	next := 0 // the place where the next block must begin
	for _, b := range x.Blocks {
		if l.more && next == len(l.list) {
			return nil
		}
		at := sort.Search(len(l.list), func(i int) bool { return l.list[i].offset >= int64(b.Offset) })
		if at != next || at == len(l.list) {
			return fmt.Errorf("the index has a block at %d, where no block begins", b.Offset)
		}
		var err error
		if next, err = l.block(b, at); err != nil {
			return err
		}
	}
	if next != len(l.list) {
		return fmt.Errorf("the index lacks the pages at %d", l.list[next].offset)
	}
	return nil
}

// block checks a block that begins with a place, and returns the place after it.
func (l *places) block(b *record.Index_PageBlock, at int) (int, error) {
	p := l.list[at]
	if p.offset != int64(b.Offset) || p.mm != b.MmId || p.shmem != b.ShmemId || p.vaddr != b.Vaddr {
		return 0, fmt.Errorf("the index has pages at %d that are not the ones there", b.Offset)
	}
	left := b.Pages
	for ; at < len(l.list) && l.list[at].mm == p.mm && l.list[at].shmem == p.shmem && left >= l.list[at].pages && left > 0; at++ {
		left -= l.list[at].pages
	}
	if left > 0 && !(l.more && at == len(l.list)) {
		return 0, fmt.Errorf("the index has %d pages at %d, which the records there don't have", b.Pages, b.Offset)
	}
	return at, nil
}
