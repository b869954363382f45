package vmas

import (
	"encoding/binary"

	"floe/lib/kabi"
	"floe/lib/mem"
	"floe/lib/procfs"
	"floe/lib/record"
)

// resident lists the pages of a file or of a shared object that a mapping which
// is locked on fault has: those are locked. Its own pages are in the image.
func (s *space) resident(m *procfs.Mapping, v *record.Vma) error {
	if !m.Has(mem.OnFault) || v.Kind == record.Vma_ANON_PRIVATE {
		return nil
	}
	f, err := s.open("pagemap")
	if err != nil {
		return err
	}
	defer f.Close()
	there, run := false, uint32(0)
	b := make([]byte, atOnceSize*entrySize)
	for at := m.Start; at < m.End; {
		n, err := f.ReadAt(b[:min(uint64(len(b)), (m.End-at)/pageSize*entrySize)], int64(at/pageSize*entrySize))
		if err != nil {
			return err
		}
		for i := 0; i < n; i, at = i+entrySize, at+pageSize {
			const want = kabi.PM_PRESENT | kabi.PM_FILE
			if is := binary.LittleEndian.Uint64(b[i:])&want == want; is != there {
				v.Resident = append(v.Resident, run)
				there, run = is, 0
			}
			run++
		}
	}
	if there {
		v.Resident = append(v.Resident, run)
	}
	return nil
}
