package pages

import (
	"fmt"
	"slices"
	"sort"

	"floe/lib/mem"
	"floe/lib/record"
)

// maxPage is the highest page number of a user address space of 57 bits; runs
// past it can't be meant.
const maxPage = 1 << (57 - 12)

// maxRecordRuns bounds the runs of a record, for workers keep some: more than a
// dump ever puts into one.
const maxRecordRuns = 4 * maxRuns

// Layout is where pages of an image may go, and no other place: the private
// vmas of each address space that have contents to be restored, and the
// shared objects; guard regions to the other vmas of a program too.
type Layout struct {
	vmas   map[uint64][]*record.Vma // by mm_id, sorted
	shared map[uint64]uint64        // bytes, by shmem_id
	come   map[sequence]uint64      // where each has come to
	sizes  map[uint64]uint64        // bytes, by file_id; nil: nobody knows
}

// sequence is the zeros of one owner, or its guard regions. A run of them is of
// any length and takes no room in the image. So they must come in order of
// address: no place comes twice, however many records there are.
type sequence struct {
	owner
	sort record.Pages_Encoding
}

// NewLayout is a layout in which nothing may go anywhere yet.
func NewLayout() *Layout {
	return &Layout{vmas: map[uint64][]*record.Vma{}, shared: map[uint64]uint64{}, come: map[sequence]uint64{}}
}

// Add notes the vmas of one address space, sorted by address.
func (l *Layout) Add(mm uint64, vmas []*record.Vma) {
	for _, v := range vmas {
		if v.Kind == record.Vma_ANON_SHARED {
			l.shared[v.ShmemId] = max(l.shared[v.ShmemId], v.ObjectSize())
		}
		if Guardable(v) {
			l.vmas[mm] = append(l.vmas[mm], v)
		}
	}
}

// Check tells whether a Pages record, whose payload has n bytes, is sound,
// whether all its runs lie where contents may go, and runs without bytes after
// those of the records before. The records must come in the order of the stream.
func (l *Layout) Check(p *record.Pages, n uint64) error {
	if len(p.Runs) > maxRecordRuns {
		return fmt.Errorf("pages record of mm %d: %d runs, the limit is %d", p.MmId, len(p.Runs), maxRecordRuns)
	}
	seq, ordered := sequence{owner{p.MmId, p.ShmemId}, p.Encoding}, withoutBytes(p)
	var total uint64
	at := l.come[seq]
	for _, r := range p.Runs {
		if r.GetVaddr()%PageSize != 0 || r.GetPages() == 0 || r.GetPages() > maxPage || r.GetVaddr()/PageSize > maxPage {
			return fmt.Errorf("pages record of mm %d: impossible run of %d pages at %#x", p.MmId, r.GetPages(), r.GetVaddr())
		}
		if ordered && r.Vaddr < at {
			return fmt.Errorf("pages record of mm %d: run of %d pages at %#x comes after those up to %#x", p.MmId, r.Pages, r.Vaddr, at)
		}
		if total += r.Pages; total > maxPage {
			return fmt.Errorf("pages record of mm %d: more pages than there can be", p.MmId)
		}
		if err := l.checkRun(p, Run{r.Vaddr, r.Pages}); err != nil {
			return err
		}
		at = r.Vaddr + r.Pages*PageSize
	}
	if err := checkPayload(p, total, n); err != nil {
		return err
	}
	if ordered {
		l.come[seq] = at
	}
	return nil
}

// withoutBytes tells a record whose runs have no payload.
func withoutBytes(p *record.Pages) bool {
	return p.Encoding == record.Pages_ZERO || p.Encoding == record.Pages_GUARD
}

func checkPayload(p *record.Pages, pages, n uint64) error {
	ok := false
	switch p.Encoding {
	case record.Pages_RAW:
		ok = pages <= BlockPages && n == pages*PageSize
	case record.Pages_LZ4:
		ok = pages <= BlockPages && n > 0 && n < pages*PageSize
	case record.Pages_ZERO, record.Pages_GUARD:
		ok = n == 0
	default:
		return fmt.Errorf("pages record of mm %d: unknown encoding %d: made by a later version of floe?", p.MmId, p.Encoding)
	}
	if !ok {
		return fmt.Errorf("pages record of mm %d: payload of %d bytes for %d pages, encoding %v", p.MmId, n, pages, p.Encoding)
	}
	return nil
}

func (l *Layout) checkRun(p *record.Pages, r Run) error {
	if p.MmId == 0 {
		if size, ok := l.shared[p.ShmemId]; !ok || r.End() > (size+PageSize-1)/PageSize*PageSize {
			return fmt.Errorf("pages record of shared memory %d: %d pages at offset %#x, which it doesn't have", p.ShmemId, r.Pages, r.Addr)
		}
		return nil
	}
	if p.ShmemId != 0 {
		return fmt.Errorf("pages record of mm %d and shared memory %d: it can only be of one", p.MmId, p.ShmemId)
	}
	at := r.Addr
	err := l.within(p.MmId, r, func(v *record.Vma, part Run) error {
		if part.Addr == at && (Saves(v) || p.Encoding == record.Pages_GUARD) {
			at = part.End()
		}
		return l.withinFile(p, v, part)
	})
	if err != nil {
		return err
	}
	if at != r.End() {
		return fmt.Errorf("pages record of mm %d: no private mapping with contents at %#x", p.MmId, at)
	}
	return nil
}

// withinFile checks that pages of a file's private mapping don't lie past the
// file's end: nothing can be written there.
func (l *Layout) withinFile(p *record.Pages, v *record.Vma, part Run) error {
	size, known := l.sizes[v.FileId]
	if v.Kind != record.Vma_FILE_PRIVATE || !known || p.Encoding == record.Pages_GUARD {
		return nil
	}
	if end := v.Offset + part.End() - v.Start; end > (size+PageSize-1)/PageSize*PageSize {
		return fmt.Errorf("pages record of mm %d: pages up to %#x, past the end of the file mapped there, of %d bytes", p.MmId, part.End(), size)
	}
	return nil
}

// within calls f with every vma that has part of the run, and the part.
func (l *Layout) within(mm uint64, r Run, f func(*record.Vma, Run) error) error {
	vmas := l.vmas[mm]
	first := sort.Search(len(vmas), func(i int) bool { return vmas[i].End > r.Addr })
	for _, v := range vmas[first:] {
		from, to := max(v.Start, r.Addr), min(v.End, r.End())
		if from >= to {
			return nil
		}
		if err := f(v, Run{from, (to - from) / PageSize}); err != nil {
			return err
		}
	}
	return nil
}

// written calls f with the parts of a run of zeros that have to be written: over
// the contents of a file, and in memory that is locked on fault, which is not to
// fault where it had a page.
func (l *Layout) written(mm uint64, r Run, f func(Run) error) error {
	return l.within(mm, r, func(v *record.Vma, part Run) error {
		if v.Kind != record.Vma_FILE_PRIVATE && !slices.Contains(v.Flags, mem.OnFault) {
			return nil
		}
		return f(part)
	})
}

// runsOf is a record's runs; they have been checked.
func runsOf(p *record.Pages, into []Run) []Run {
	into = slices.Grow(into[:0], len(p.Runs))
	for _, r := range p.Runs {
		into = append(into, Run{r.Vaddr, r.Pages})
	}
	return into
}
