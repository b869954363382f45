package main

import (
	"fmt"
	"sort"

	"floe/lib/image"
	"floe/lib/pages"
	"floe/lib/record"
)

// class is how pages are saved.
type class int

const (
	data  class = iota // their bytes, packed or not
	zero               // all zeros, without bytes
	guard              // no memory: an access is a fault
	classes
)

// tally counts the pages that are saved, by class: all, those of every mapping,
// and those of every shared object.
type tally struct {
	total   [classes]uint64 // pages
	stored  uint64          // bytes of all payloads
	records uint64
	spaces  map[uint64]*space // by mm_id
	objects map[uint64]*shmem // by shmem_id; nil until pages of one come
}

// shmem is a shared object.
type shmem struct {
	size  uint64 // bytes
	pages [classes]uint64
}

func newTally() *tally { return &tally{spaces: map[uint64]*space{}} }

// maxPage is above every number of a page in an address space of 57 bits.
const maxPage = 1 << (57 - 12)

// add counts a record, if it is one of pages, and refuses what restore would.
func (t *tally) add(im *image.Image, f frame) error {
	p := f.Record.GetPages()
	if p == nil {
		return nil
	}
	c, err := checkPages(p, f.Record.PayloadLen)
	if err != nil {
		return err
	}
	t.records++
	t.stored += f.Record.PayloadLen
	for _, r := range p.Runs {
		if p.MmId == 0 {
			err = t.shared(im, p.ShmemId, r, c)
		} else {
			err = t.space(im, p.MmId).add(r, c)
		}
		if err != nil {
			return err
		}
		t.total[c] += r.Pages
	}
	return nil
}

// checkPages checks a record of pages with a payload of n bytes by itself.
func checkPages(p *record.Pages, n uint64) (class, error) {
	var total uint64
	for _, r := range p.Runs {
		if r.Vaddr%pages.PageSize != 0 || r.Pages == 0 || r.Pages > maxPage || r.Vaddr/pages.PageSize > maxPage {
			return 0, fmt.Errorf("an impossible run of %d pages at %#x", r.Pages, r.Vaddr)
		}
		if total += r.Pages; total > maxPage {
			return 0, fmt.Errorf("more pages than there can be")
		}
	}
	c, ok := data, false
	switch p.Encoding {
	case record.Pages_RAW:
		ok = total <= pages.BlockPages && n == total*pages.PageSize
	case record.Pages_LZ4:
		ok = total <= pages.BlockPages && n > 0 && n < total*pages.PageSize
	case record.Pages_ZERO:
		c, ok = zero, n == 0
	case record.Pages_GUARD:
		c, ok = guard, n == 0
	default:
		return 0, fmt.Errorf("pages in encoding %d: %w", p.Encoding, image.ErrUnknown)
	}
	if p.MmId != 0 && p.ShmemId != 0 {
		return 0, fmt.Errorf("pages of address space %d and of shared memory %d: they can only be of one", p.MmId, p.ShmemId)
	}
	if !ok {
		return 0, fmt.Errorf("%d bytes for %d pages in encoding %v", n, total, p.Encoding)
	}
	return c, nil
}

// shared counts a run of a shared object.
func (t *tally) shared(im *image.Image, id uint64, r *record.Pages_Run, c class) error {
	if t.objects == nil {
		t.objects = sharedObjects(im)
	}
	o := t.objects[id]
	if o == nil || r.Vaddr+r.Pages*pages.PageSize > (o.size+pages.PageSize-1)/pages.PageSize*pages.PageSize {
		return fmt.Errorf("%d pages at offset %#x of shared memory %d, which it doesn't have", r.Pages, r.Vaddr, id)
	}
	o.pages[c] += r.Pages
	return nil
}

// sharedObjects are those that the mappings are of.
func sharedObjects(im *image.Image) map[uint64]*shmem {
	all := map[uint64]*shmem{}
	for _, vmas := range im.Vmas {
		for _, v := range vmas {
			if v.Kind != record.Vma_ANON_SHARED {
				continue
			}
			o := all[v.ShmemId]
			if o == nil {
				o = &shmem{}
				all[v.ShmemId] = o
			}
			o.size = max(o.size, v.ObjectSize())
		}
	}
	return all
}

// once makes sure that no page is saved more than once.
func (t *tally) once() error {
	for id, s := range t.spaces {
		for i, v := range s.vmas {
			n := s.pages(i)
			if n[data]+n[zero]+n[guard] > (v.End-v.Start)/pages.PageSize {
				return fmt.Errorf("address space %d: pages of the mapping %x-%x are there twice", id, v.Start, v.End)
			}
		}
	}
	for id, o := range t.objects {
		if (o.pages[data]+o.pages[zero])*pages.PageSize >= o.size+pages.PageSize {
			return fmt.Errorf("pages of shared memory %d are there twice", id)
		}
	}
	return nil
}

// sorted is the keys of a map, in order.
func sorted[V any](m map[uint64]V) []uint64 {
	keys := make([]uint64, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool { return keys[i] < keys[j] })
	return keys
}
