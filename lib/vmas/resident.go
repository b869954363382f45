package vmas

import (
	"encoding/binary"

	"floe/lib/kabi"
	"floe/lib/mem"
	"floe/lib/procfs"
	"floe/lib/record"
)

// locked lists the pages of locked memory that would come back otherwise than they
// were: of memory that is locked on fault, those of a file or of a shared object
// that are there; else those that are not there, though mlock(2) would fill them
// (MADV_DONTNEED_LOCKED, or an mprotect(2) that allows reading only).
func (s *space) locked(m *procfs.Mapping, v *record.Vma) error {
	onFault := m.Has(mem.OnFault)
	switch {
	case !m.Has(mem.Locked), v.Kind == record.Vma_SPECIAL, v.Kind == record.Vma_VSYSCALL:
		return nil
	case onFault && v.Kind == record.Vma_ANON_PRIVATE: // its pages are in the image
		return nil
	case !onFault && v.Prot == 0: // mlock(2) fills nothing
		return nil
	}
	const file, any = kabi.PM_PRESENT | kabi.PM_FILE, kabi.PM_PRESENT | kabi.PM_SWAP | kabi.PM_GUARD_REGION
	var err error
	if onFault {
		v.Resident, err = s.pageRuns(m, func(e uint64) bool { return e&file == file })
	} else {
		v.Dropped, err = s.pageRuns(m, func(e uint64) bool { return e&any == 0 })
	}
	return err
}

// pageRuns counts the pages of a mapping, by their pagemap entries: so many that
// are not wanted, so many that are, and so on to the last that is.
func (s *space) pageRuns(m *procfs.Mapping, wanted func(entry uint64) bool) ([]uint32, error) {
	f, err := s.open("pagemap")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var runs []uint32
	in, run := false, uint32(0)
	b := make([]byte, atOnceSize*entrySize)
	for at := m.Start; at < m.End; {
		n, err := f.ReadAt(b[:min(uint64(len(b)), (m.End-at)/pageSize*entrySize)], int64(at/pageSize*entrySize))
		if err != nil {
			return nil, err
		}
		for i := 0; i < n; i, at = i+entrySize, at+pageSize {
			if is := wanted(binary.LittleEndian.Uint64(b[i:])); is != in {
				runs = append(runs, run)
				in, run = is, 0
			}
			run++
		}
	}
	if in {
		runs = append(runs, run)
	}
	return runs, nil
}
