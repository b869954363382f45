package main

import (
	"fmt"
	"slices"
	"sort"

	"floe/lib/image"
	"floe/lib/pages"
	"floe/lib/record"
)

// space counts the pages of one address space. A run may go over very many
// mappings that touch each other, so only those at its ends are counted at
// once, and the ones between them as a step up and a step down.
type space struct {
	vmas  []*record.Vma // that pages are saved of or that may have guard regions, in order
	reach [2][]uint64   // where the mappings end that touch the one before; of those that pages are saved of
	ends  [classes][]uint64
	steps [classes][]int32
	sum   bool // ends has all pages, and steps has done its part
}

// space is that of an mm_id, which has all its mappings by now.
func (t *tally) space(im *image.Image, mm uint64) *space {
	s := t.spaces[mm]
	if s != nil {
		return s
	}
	s = &space{}
	for _, v := range im.Vmas[mm] {
		if pages.Guardable(v) {
			s.vmas = append(s.vmas, v)
		}
	}
	s.reach = [2][]uint64{s.touching(pages.Guardable), s.touching(pages.Saves)}
	t.spaces[mm] = s
	return s
}

// touching tells of each mapping where the row of mappings ends, all of one sort,
// that begins with it; 0 for one of another sort.
func (s *space) touching(sort func(*record.Vma) bool) []uint64 {
	reach := make([]uint64, len(s.vmas))
	for i, v := range slices.Backward(s.vmas) {
		if !sort(v) {
			continue
		}
		reach[i] = v.End
		if i+1 < len(s.vmas) && s.vmas[i+1].Start == v.End {
			reach[i] = max(v.End, reach[i+1])
		}
	}
	return reach
}

// at is the first mapping that ends behind an address.
func (s *space) at(addr uint64) int {
	return sort.Search(len(s.vmas), func(i int) bool { return s.vmas[i].End > addr })
}

// add counts a run, which must lie within mappings.
func (s *space) add(r *record.Pages_Run, c class) error {
	end := r.Vaddr + r.Pages*pages.PageSize
	first, reach := s.at(r.Vaddr), s.reach[0]
	if c != guard {
		reach = s.reach[1]
	}
	if first == len(s.vmas) || s.vmas[first].Start > r.Vaddr || reach[first] < end {
		return fmt.Errorf("%d pages at %#x are in no mapping that has pages saved", r.Pages, r.Vaddr)
	}
	if s.ends[c] == nil {
		s.ends[c], s.steps[c] = make([]uint64, len(s.vmas)), make([]int32, len(s.vmas)+1)
	}
	last := s.at(end - 1)
	if first == last {
		s.ends[c][first] += r.Pages
		return nil
	}
	s.ends[c][first] += (s.vmas[first].End - r.Vaddr) / pages.PageSize
	s.ends[c][last] += (end - s.vmas[last].Start) / pages.PageSize
	s.steps[c][first+1]++
	s.steps[c][last]--
	return nil
}

// pages is how many pages of mapping i are saved. No run is added after it.
func (s *space) pages(i int) (n [classes]uint64) {
	if !s.sum {
		s.sum = true
		s.fill()
	}
	for c := range s.ends {
		if s.ends[c] != nil {
			n[c] = s.ends[c][i]
		}
	}
	return n
}

// fill adds the mappings that runs went over from end to end.
func (s *space) fill() {
	for c, ends := range s.ends {
		var over int32
		for i := range ends {
			over += s.steps[c][i]
			ends[i] += uint64(over) * (s.vmas[i].End - s.vmas[i].Start) / pages.PageSize
		}
	}
}
