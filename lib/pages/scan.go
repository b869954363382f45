package pages

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"floe/lib/kabi"
	"floe/lib/procfs"
)

// class is what a scan says of a page that is the task's own.
type class uint8

const (
	classData  class = iota // has to be read
	classZero               // mapped to the kernel's page of zeros
	classGuard              // MADV_GUARD_INSTALL: no contents, an access is a fault
)

// extent is a run of pages of one class.
type extent struct {
	Run
	class class
}

// scanner finds the pages of private mappings that have contents of their own:
// present or swapped, and not a page of the file's. It asks the kernel with the
// PAGEMAP_SCAN ioctl, which skips what is empty, and reads the pagemap where
// the kernel has no such ioctl (before 6.7). A scanner is for one goroutine.
type scanner struct {
	f       *os.File // /proc/PID/pagemap
	ioctl   bool
	noGuard bool // which doesn't tell guards
	regions []kabi.PageRegion
	entries []byte
}

// entriesAtOnce is how many pagemap entries are read at once: 32 MiB of memory.
const entriesAtOnce = 8192

func newScanner(pid int) (*scanner, error) {
	f, err := procfs.Open(fmt.Sprintf("/proc/%d/pagemap", pid), unix.O_RDONLY)
	if err != nil {
		return nil, fmt.Errorf("task %d: %w", pid, err)
	}
	return &scanner{f: f, ioctl: true}, nil
}

func (s *scanner) Close() error { return s.f.Close() }

// scan calls emit with the extents between start and end, in order.
func (s *scanner) scan(start, end uint64, emit func(extent) error) error {
	if s.ioctl {
		next, err := s.scanIoctl(start, end, emit)
		if !errors.Is(err, unix.ENOTTY) {
			return err
		}
		s.ioctl, start = false, next
	}
	return s.scanEntries(start, end, emit)
}

// guards calls emit with the guard regions between start and end, in order.
func (s *scanner) guards(start, end uint64, emit func(extent) error) error {
	if s.ioctl && !s.noGuard {
		arg := kabi.PmScanArg{CategoryMask: kabi.PAGE_IS_GUARD, ReturnMask: kabi.PAGE_IS_GUARD}
		next, err := s.ask(&arg, start, end, emit)
		if s.ioctl = !errors.Is(err, unix.ENOTTY); s.ioctl && !errors.Is(err, unix.EINVAL) {
			return err
		}
		s.noGuard, start = s.ioctl, next
	}
	return s.scanEntries(start, end, func(e extent) error {
		if e.class != classGuard {
			return nil
		}
		return emit(e)
	})
}

// scanIoctl returns the address that it came to.
func (s *scanner) scanIoctl(start, end uint64, emit func(extent) error) (uint64, error) {
	arg := kabi.PmScanArg{
		CategoryInverted:  kabi.PAGE_IS_FILE,
		CategoryMask:      kabi.PAGE_IS_FILE,
		CategoryAnyofMask: kabi.PAGE_IS_PRESENT | kabi.PAGE_IS_SWAPPED,
		ReturnMask:        kabi.PAGE_IS_PFNZERO,
	}
	if !s.noGuard {
		arg.ReturnMask |= kabi.PAGE_IS_GUARD
		next, err := s.ask(&arg, start, end, emit)
		if !errors.Is(err, unix.EINVAL) {
			return next, err
		}
		s.noGuard, start = true, next
		arg.ReturnMask &^= kabi.PAGE_IS_GUARD
	}
	return s.ask(&arg, start, end, emit)
}

// ask makes the ioctl until it has been from start to end, and returns the
// address that it came to.
func (s *scanner) ask(arg *kabi.PmScanArg, start, end uint64, emit func(extent) error) (uint64, error) {
	if s.regions == nil {
		s.regions = make([]kabi.PageRegion, 1024)
	}
	for start < end {
		arg.Start, arg.End = start, end
		n, err := pagemapScan(s.f, arg, s.regions)
		if err != nil {
			return start, fmt.Errorf("%s: PAGEMAP_SCAN of %#x-%#x: %w", s.f.Name(), start, end, err)
		}
		for _, r := range s.regions[:n] {
			e := extent{Run: Run{r.Start, (r.End - r.Start) / PageSize}}
			switch {
			case r.Categories&kabi.PAGE_IS_GUARD != 0:
				e.class = classGuard
			case r.Categories&kabi.PAGE_IS_PFNZERO != 0:
				e.class = classZero
			}
			if err := emit(e); err != nil {
				return start, err
			}
		}
		next := arg.WalkEnd
		if n > 0 {
			// It may say less than it has told, when that fills the vector just so.
			next = max(next, s.regions[n-1].End)
		}
		if next <= start {
			return start, fmt.Errorf("%s: PAGEMAP_SCAN of %#x-%#x does not advance", s.f.Name(), start, end)
		}
		start = next
	}
	return start, nil
}

// scanEntries reads the pagemap entry of every page.
func (s *scanner) scanEntries(start, end uint64, emit func(extent) error) error {
	if s.entries == nil {
		s.entries = make([]byte, 8*entriesAtOnce)
	}
	var run extent
	for start < end {
		n := min((end-start)/PageSize, entriesAtOnce)
		if _, err := s.f.ReadAt(s.entries[:8*n], int64(start/PageSize*8)); err != nil {
			return fmt.Errorf("%s: entries of %#x-%#x: %w", s.f.Name(), start, end, err)
		}
		for i := uint64(0); i < n; i, start = i+1, start+PageSize {
			entry := binary.LittleEndian.Uint64(s.entries[8*i:])
			c, ok := classify(entry)
			if !ok {
				continue
			}
			if run.Pages > 0 && run.End() == start && run.class == c {
				run.Pages++
				continue
			}
			if run.Pages > 0 {
				if err := emit(run); err != nil {
					return err
				}
			}
			run = extent{Run{start, 1}, c}
		}
	}
	if run.Pages > 0 {
		return emit(run)
	}
	return nil
}

// classify reads a pagemap entry; false if there is nothing to save.
func classify(entry uint64) (class, bool) {
	switch {
	case entry&kabi.PM_GUARD_REGION != 0:
		return classGuard, true
	case entry&(kabi.PM_PRESENT|kabi.PM_SWAP) == 0, entry&kabi.PM_FILE != 0:
		return 0, false
	}
	return classData, true
}

// sharedGuards tells whether this kernel allows guard regions in memory that is
// no private memory (Linux 6.15). If it doesn't, there are none to be looked for.
var sharedGuards = sync.OnceValue(func() bool {
	b, err := unix.Mmap(-1, 0, PageSize, unix.PROT_READ, unix.MAP_SHARED|unix.MAP_ANONYMOUS)
	if err != nil {
		return true
	}
	defer func() { _ = unix.Munmap(b) }()
	return unix.Madvise(b, unix.MADV_GUARD_INSTALL) == nil
})
