package plan

import (
	"encoding/binary"
	"fmt"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"floe/lib/record"
	"floe/lib/stub"
)

// FDs gives the numbers of what is mapped, as the puppet that maps it has them.
type FDs interface {
	File(fileID uint64, writable bool) (int, error) // a mapped file, an exe
	Shmem(shmemID uint64) (int, error)              // a shared anonymous object
}

// AddressSpace is what one Mm and its Vmas become.
type AddressSpace struct {
	Before []stub.Call // before the pages' contents are in
	After  []stub.Call // once they are
}

// prctl(2) and madvise(2) numbers that x/sys lacks or spells otherwise.
const (
	prSetVMA         = 0x53564d41
	prSetVMAAnonName = 0
	mapDroppable     = 0x08
)

// advices are the VmFlags that madvise(2) sets.
var advices = map[string]uint64{
	"hg": unix.MADV_HUGEPAGE,
	"nh": unix.MADV_NOHUGEPAGE,
	"dc": unix.MADV_DONTFORK,
	"dd": unix.MADV_DONTDUMP,
	"wf": unix.MADV_WIPEONFORK,
	"mg": unix.MADV_MERGEABLE,
	"sr": unix.MADV_SEQUENTIAL,
	"rr": unix.MADV_RANDOM,
}

// Target is where an address space is made.
type Target struct {
	Arena     Span // stays as it is
	VDSO      VDSO
	Droppable bool // the kernel has MAP_DROPPABLE
	FDs       FDs
}

// Memory plans an address space: everything but the arena goes, the vDSO and
// all mappings come, each with its last protection. Contents of pages that
// can't be written then are the loader's business, but for one case: private
// memory that was writable once (VmFlag ac) must be mapped writable to be
// accounted as it was.
func Memory(mm *record.Mm, vmas []*record.Vma, to Target) (*AddressSpace, error) {
	as := &AddressSpace{Before: clear(to.Arena)}
	as.addVDSO(to.VDSO)
	for _, v := range vmas {
		if err := as.add(v, to); err != nil {
			return nil, err
		}
	}
	call, err := mmMap(mm, to.FDs)
	if err != nil {
		return nil, err
	}
	as.Before = append(as.Before, call)
	return as, nil
}

func clear(arena Span) []stub.Call {
	unmap := func(from, to uint64) stub.Call {
		return stub.Call{What: "munmap of floe's first program", Nr: unix.SYS_MUNMAP, Args: []stub.Arg{stub.I(from), stub.I(to - from)}}
	}
	return []stub.Call{unmap(0, arena.Start), unmap(arena.End, UserCeiling)}
}

func (as *AddressSpace) add(v *record.Vma, to Target) error {
	if v.Kind == record.Vma_SPECIAL || v.Kind == record.Vma_VSYSCALL {
		return nil
	}
	flags := map[string]bool{}
	for _, f := range v.Flags {
		flags[f] = true
	}
	what := fmt.Sprintf("%x-%x %s", v.Start, v.End, v.Name)
	prot := uint64(v.Prot)
	late := flags["ac"] && prot&unix.PROT_WRITE == 0 && private(v)
	if late {
		prot = unix.PROT_READ | unix.PROT_WRITE
	}
	fd, mapFlags, err := backing(v, flags, to)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	span := []stub.Arg{stub.I(v.Start), stub.I(v.End - v.Start)}
	call := func(what string, nr uint64, args ...stub.Arg) stub.Call {
		return stub.Call{What: what, Nr: nr, Args: append(span[:2:2], args...)}
	}
	as.Before = append(as.Before, call("mmap of "+what, unix.SYS_MMAP,
		stub.I(prot), stub.I(mapFlags), stub.I(fd), stub.I(v.Offset)))
	advised := v.Flags
	if Droppable(v) && !to.Droppable {
		advised = append(slices.Clone(advised), "wf", "dd") // as droppable memory is
	}
	for _, f := range slices.Compact(slices.Sorted(slices.Values(advised))) {
		if advice, ok := advices[f]; ok {
			as.Before = append(as.Before, call("madvise of "+what, unix.SYS_MADVISE, stub.I(advice)))
		}
	}
	if name, ok := anonName(v.Name); ok {
		as.Before = append(as.Before, nameCall(name, v.Start, v.End-v.Start))
	}
	if late {
		as.After = append(as.After, call("mprotect of "+what, unix.SYS_MPROTECT, stub.I(v.Prot)))
	}
	if flags["lo"] {
		as.After = append(as.After, call("mlock of "+what, unix.SYS_MLOCK))
	}
	return nil
}

// Droppable tells memory that the kernel may drop: its contents are never saved.
func Droppable(v *record.Vma) bool { return slices.Contains(v.Flags, "dp") }

func private(v *record.Vma) bool {
	return v.Kind == record.Vma_ANON_PRIVATE || v.Kind == record.Vma_FILE_PRIVATE
}

// backing is the descriptor (-1: none) and the MAP_* flags of a mapping.
func backing(v *record.Vma, has map[string]bool, to Target) (fd int, flags int, err error) {
	fds := to.FDs
	fd, flags = -1, unix.MAP_FIXED_NOREPLACE
	if has["gd"] {
		flags |= unix.MAP_GROWSDOWN
	}
	if has["nr"] {
		flags |= unix.MAP_NORESERVE
	}
	switch v.Kind {
	case record.Vma_ANON_PRIVATE:
		flags |= unix.MAP_ANONYMOUS
		if has["dp"] && to.Droppable {
			return fd, flags | mapDroppable, nil
		}
		return fd, flags | unix.MAP_PRIVATE, nil
	case record.Vma_ANON_SHARED:
		fd, err = fds.Shmem(v.ShmemId)
		return fd, flags | unix.MAP_SHARED, err
	case record.Vma_FILE_PRIVATE:
		fd, err = fds.File(v.FileId, false)
		return fd, flags | unix.MAP_PRIVATE, err
	case record.Vma_FILE_SHARED:
		fd, err = fds.File(v.FileId, v.MayProt&unix.PROT_WRITE != 0)
		return fd, flags | unix.MAP_SHARED, err
	}
	return 0, 0, fmt.Errorf("mappings of kind %v can't be restored by this version", v.Kind)
}

// madvGuardInstall is MADV_GUARD_INSTALL of <asm-generic/mman-common.h>, 6.13.
const madvGuardInstall = 102

// Guard adds a guard region, which a task can only install itself.
func (as *AddressSpace) Guard(start, end uint64) {
	as.After = append(as.After, stub.Call{
		What: fmt.Sprintf("guard region %x-%x", start, end), Nr: unix.SYS_MADVISE,
		Args: []stub.Arg{stub.I(start), stub.I(end - start), stub.I(madvGuardInstall)},
	})
}

// anonName takes the name out of "[anon:name]" or "[anon_shmem:name]".
func anonName(s string) (string, bool) {
	for _, p := range []string{"[anon:", "[anon_shmem:"} {
		if rest, ok := strings.CutPrefix(s, p); ok {
			return strings.CutSuffix(rest, "]")
		}
	}
	return "", false
}

// struct prctl_mm_map of <linux/prctl.h>, bytes.
const (
	mmMapSize  = 104
	mmMapAuxv  = 88
	mmMapAuxSz = 96
	mmMapExeFD = 100
)

func mmMap(mm *record.Mm, fds FDs) (stub.Call, error) {
	exe, err := fds.File(mm.ExeFile, false)
	if err != nil {
		return stub.Call{}, fmt.Errorf("exe: %w", err)
	}
	b := make([]byte, mmMapSize, mmMapSize+len(mm.Auxv))
	le := binary.LittleEndian
	for i, v := range []uint64{mm.StartCode, mm.EndCode, mm.StartData, mm.EndData, mm.StartBrk, mm.Brk,
		mm.StartStack, mm.ArgStart, mm.ArgEnd, mm.EnvStart, mm.EnvEnd} {
		le.PutUint64(b[8*i:], v)
	}
	le.PutUint32(b[mmMapAuxSz:], uint32(len(mm.Auxv)))
	le.PutUint32(b[mmMapExeFD:], uint32(exe))
	return stub.Call{
		What: "prctl(PR_SET_MM_MAP)", Nr: unix.SYS_PRCTL,
		Args: []stub.Arg{stub.I(unix.PR_SET_MM), stub.I(unix.PR_SET_MM_MAP),
			{Kind: stub.Data, Bytes: append(b, mm.Auxv...), Fixes: []stub.Fix{{At: mmMapAuxv, Plus: mmMapSize}}},
			stub.I(mmMapSize), stub.I(0)},
	}, nil
}

// BaseName is the last element of a file's path, for messages.
func BaseName(f *record.File) string { return path.Base(string(f.GetPath())) }
