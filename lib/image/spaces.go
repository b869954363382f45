package image

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"sort"

	"golang.org/x/sys/unix"

	"floe/lib/mem"
	"floe/lib/record"
)

const pageSize = 4096

// ceilings are the ends of user addresses, by architecture: what mmap(2) gives
// without asking for more.
var ceilings = map[string]uint64{"amd64": 1 << 47, "arm64": 1 << 48}

func (im *Image) ceiling() uint64 {
	if c, ok := ceilings[im.Header.GetArch()]; ok {
		return c
	}
	return 1 << 56
}

func spaceError(mm *record.Mm, format string, args ...any) error {
	return fmt.Errorf("memory of task %d: %w", mm.Pid, fmt.Errorf(format, args...))
}

func vmaError(mm *record.Mm, v *record.Vma, format string, args ...any) error {
	return spaceError(mm, "mapping %x-%x: %w", v.Start, v.End, fmt.Errorf(format, args...))
}

// checkFiles checks the records of files.
func (im *Image) checkFiles() error {
	im.irregular = map[uint64]bool{}
	for id, f := range im.Files() {
		if len(f.Path) == 0 || f.Path[0] != '/' || len(f.Path) >= maxPathBytes || bytes.IndexByte(f.Path, 0) >= 0 {
			return fmt.Errorf("file %d: %.100q, of %d bytes, is no absolute path", id, f.Path, len(f.Path))
		}
		if f.Size > math.MaxInt64 {
			return fmt.Errorf("file %d: its size is %d bytes", id, f.Size)
		}
		if f.Mode&unix.S_IFMT != unix.S_IFREG {
			im.irregular[id] = true
		}
	}
	return nil
}

// checkSpaces checks that every live task has an address space, and all of
// them.
func (im *Image) checkSpaces() error {
	used := map[uint64]bool{}
	for _, t := range im.Tasks {
		if !live(t) {
			continue
		}
		if used[t.MmId] = true; im.Mms[t.MmId] == nil {
			return taskError(t, "its memory is not in the image")
		}
	}
	for id, mm := range im.Mms {
		if err := im.checkSpace(id, mm); err != nil {
			return err
		}
	}
	for id := range im.Vmas {
		if im.Mms[id] == nil {
			return fmt.Errorf("mappings of address space %d, which is not in the image", id)
		}
	}
	return im.checkPrograms()
}

// checkPrograms checks that no program is mapped to be written: a file that runs
// can't be opened for that, and one that is open for that can't run.
func (im *Image) checkPrograms() error {
	runs := map[uint64]bool{}
	for _, mm := range im.Mms {
		runs[mm.ExeFile] = true
	}
	for id, vmas := range im.Vmas {
		for _, v := range vmas {
			if v.Kind == record.Vma_FILE_SHARED && v.MayProt&unix.PROT_WRITE != 0 && runs[v.FileId] {
				return vmaError(im.Mms[id], v, "%s is mapped to be written, and runs", im.File(v.FileId).GetPath())
			}
		}
	}
	return nil
}

func (im *Image) checkSpace(id uint64, mm *record.Mm) error {
	if t := im.task[mm.Pid]; t == nil || !live(t) || t.MmId != id {
		return spaceError(mm, "it is address space %d, which that task doesn't have", id)
	}
	vmas := im.Vmas[id]
	switch {
	case mm.Vmas != im.vmas[id]:
		return spaceError(mm, "%d mappings of %d are there", im.vmas[id], mm.Vmas)
	case !im.HasFile(mm.ExeFile):
		return spaceError(mm, "its program is file %d, which is not in the image", mm.ExeFile)
	case !im.regular(mm.ExeFile):
		return spaceError(mm, "its program is %s, which is no regular file", im.File(mm.ExeFile).Path)
	case len(mm.Auxv)%16 != 0 || len(mm.Auxv) > pageSize:
		return spaceError(mm, "its auxiliary vector has %d bytes", len(mm.Auxv))
	}
	if err := im.checkLayout(mm); err != nil {
		return err
	}
	for _, v := range vmas {
		if err := im.checkVma(mm, v); err != nil {
			return err
		}
	}
	return nil
}

// checkLayout checks what PR_SET_MM_MAP sets, by the kernel's rules for it.
func (im *Image) checkLayout(mm *record.Mm) error {
	for _, a := range []uint64{mm.StartCode, mm.EndCode, mm.StartData, mm.EndData, mm.StartBrk, mm.Brk, mm.StartStack, mm.ArgStart, mm.ArgEnd, mm.EnvStart, mm.EnvEnd} {
		if a < pageSize || a >= im.ceiling() {
			return spaceError(mm, "%#x is no user address", a)
		}
	}
	for _, p := range []struct {
		what       string
		start, end uint64
	}{{"code", mm.StartCode + 1, mm.EndCode}, {"data", mm.StartData, mm.EndData}, {"heap", mm.StartBrk, mm.Brk},
		{"arguments", mm.ArgStart, mm.ArgEnd}, {"environment", mm.EnvStart, mm.EnvEnd}} {
		if p.start > p.end {
			return spaceError(mm, "its %s ends before it starts, at %#x", p.what, p.end)
		}
	}
	return nil
}

// regular tells whether a file is a regular one, once checkFiles has run.
func (im *Image) regular(id uint64) bool { return !im.irregular[id] }

func (im *Image) checkVma(mm *record.Mm, v *record.Vma) error {
	const anyProt = unix.PROT_READ | unix.PROT_WRITE | unix.PROT_EXEC
	ofFile := v.Kind == record.Vma_FILE_PRIVATE || v.Kind == record.Vma_FILE_SHARED
	switch {
	case !v.Kind.Known():
		return vmaError(mm, v, "kind %d: %w", v.Kind, ErrUnknown)
	case v.End > im.ceiling() && v.Kind != record.Vma_VSYSCALL:
		return vmaError(mm, v, "it is not within the user addresses")
	case (v.Prot|v.MayProt)&^anyProt != 0:
		return vmaError(mm, v, "protection %#x: %w", v.Prot|v.MayProt, ErrUnknown)
	case ofFile && !im.HasFile(v.FileId):
		return vmaError(mm, v, "it is of file %d, which is not in the image", v.FileId)
	case ofFile && !im.regular(v.FileId):
		return vmaError(mm, v, "it is of %s, which is no regular file", im.File(v.FileId).Path)
	case !ofFile && v.FileId != 0:
		return vmaError(mm, v, "a mapping of no file has file %d", v.FileId)
	case (v.Kind == record.Vma_ANON_SHARED) != (v.ShmemId != 0):
		return vmaError(mm, v, "shared object %d with kind %v", v.ShmemId, v.Kind)
	case v.Offset%pageSize != 0 || v.Offset > 1<<63-(v.End-v.Start):
		return vmaError(mm, v, "offset %#x", v.Offset)
	case ofProgram(v) && slices.ContainsFunc(v.Flags, neverRestored):
		return vmaError(mm, v, "flags %v: %w", v.Flags, ErrUnknown)
	case !runsFit(v, v.Resident, true) || !runsFit(v, v.Dropped, false):
		return vmaError(mm, v, "the pages of it that are locked are not all in it, or it is not locked so")
	case droppable(v) && (v.Kind != record.Vma_ANON_PRIVATE || slices.ContainsFunc(v.Flags, neverDroppable)):
		return vmaError(mm, v, "the kernel has no droppable memory of this kind")
	}
	return nil
}

// ofProgram tells a mapping that is the program's and not the kernel's.
func ofProgram(v *record.Vma) bool {
	return v.Kind != record.Vma_SPECIAL && v.Kind != record.Vma_VSYSCALL
}

// runsFit tells whether runs of pages lie in a mapping that is locked so.
func runsFit(v *record.Vma, runs []uint32, onFault bool) bool {
	left := (v.End - v.Start) / pageSize
	for _, n := range runs {
		if uint64(n) > left {
			return false
		}
		left -= uint64(n)
	}
	return len(runs) == 0 || slices.Contains(v.Flags, mem.Locked) && slices.Contains(v.Flags, mem.OnFault) == onFault
}

// neverRestored tells a flag that no dump of this version takes.
func neverRestored(flag string) bool { return !mem.Lookup(flag).Restores() }

func droppable(v *record.Vma) bool { return slices.Contains(v.Flags, mem.Droppable) }

// neverDroppable tells flags of mappings that mmap(2) does not make with
// MAP_DROPPABLE, and mlock(2) passes over: of stacks, and of locked memory.
func neverDroppable(flag string) bool {
	return flag == mem.GrowsDown || flag == mem.Locked || flag == mem.OnFault
}

// checkVdsos checks that every address space has a record of its vDSO, and that
// its areas are the kernel's to give back.
func (im *Image) checkVdsos() error {
	for id, mm := range im.Mms {
		if im.Vdsos[id] == nil {
			return spaceError(mm, "its vDSO is not in the image")
		}
	}
	for id, v := range im.Vdsos {
		mm := im.Mms[id]
		if mm == nil {
			return fmt.Errorf("vDSO of address space %d, which is not in the image", id)
		}
		if err := im.checkVdso(mm, v); err != nil {
			return err
		}
	}
	return nil
}

func (im *Image) checkVdso(mm *record.Mm, v *record.Vdso) error {
	var last uint64
	code := -1
	for i, a := range v.Areas {
		switch {
		case a.Start >= a.End || a.Start%pageSize != 0 || a.End%pageSize != 0 || a.Start < last:
			return spaceError(mm, "vDSO: area %x-%x is malformed or out of order", a.Start, a.End)
		case !im.special(mm.MmId, a.Start, a.End) && !within(v.Floe, a.Start, a.End):
			return spaceError(mm, "vDSO: area %x-%x is not a mapping of the kernel's", a.Start, a.End)
		case a.Code && code >= 0:
			return spaceError(mm, "vDSO: it has two code areas")
		case a.Code:
			code = i
		}
		last = a.End
	}
	switch {
	case len(v.Areas) == 0 && len(v.Image) == 0:
		return nil
	case code < 0:
		return spaceError(mm, "vDSO: it has no code area")
	case uint64(len(v.Image)) > v.Areas[code].End-v.Areas[code].Start:
		return spaceError(mm, "vDSO: %d bytes are more than its code area", len(v.Image))
	}
	return nil
}

// within tells whether one of several ranges, which are in order, has all of an
// area.
func within(spans []*record.Vdso_Span, start, end uint64) bool {
	i := sort.Search(len(spans), func(i int) bool { return spans[i].End > start })
	return i < len(spans) && spans[i].Start <= start && spans[i].End >= end
}

// special tells whether a mapping of the kernel's has all of an area.
func (im *Image) special(mm uint64, start, end uint64) bool {
	vmas := im.Vmas[mm]
	i := sort.Search(len(vmas), func(i int) bool { return vmas[i].End > start })
	return i < len(vmas) && vmas[i].Kind == record.Vma_SPECIAL && vmas[i].Start <= start && vmas[i].End >= end
}
