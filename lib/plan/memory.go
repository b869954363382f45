package plan

import (
	"encoding/binary"
	"fmt"
	"iter"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"floe/lib/mem"
	"floe/lib/record"
	"floe/lib/stub"
)

// FDs gives the numbers of what is mapped, as the puppet that maps it has them.
type FDs interface {
	File(fileID uint64, writable bool) (int, error) // a mapped file, an exe
	Shmem(shmemID uint64) (int, error)              // a shared anonymous object
}

// AddressSpace plans what one Mm and its Vmas become. Its calls are made as they
// are used, from the records: a process may have 65,000 mappings, and more guard
// regions. They refer to what the next one overwrites: a call is good until the
// next is asked for.
//
// The order is that of what the kernel allows, decided here and nowhere else:
//
//	Before   the mappings, with what madvise(2) and names say of them, and policies
//	         contents of pages
//	After    guard regions, which can't be made in locked memory
//	         protections that keep contents from being written
//	         locks: what can't be populated then, it couldn't before either
//	         seals, which allow none of this any more
type AddressSpace struct {
	mm   *record.Mm
	vmas []*record.Vma
	to   Target
	exe  stub.Call   // PR_SET_MM_MAP
	last []stub.Call // of mem.After
	args [6]stub.Arg
	name []byte
}

// prctl(2) and madvise(2) numbers that x/sys lacks or spells otherwise.
const (
	prSetVMA         = 0x53564d41
	prSetVMAAnonName = 0
	mapDroppable     = 0x08
)

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
//
// What can't be made it says here, not when the calls are used; and it needs
// nothing for that but the records (see AnyFDs).
func Memory(mm *record.Mm, vmas []*record.Vma, to Target) (*AddressSpace, error) {
	exe, err := mmMap(mm, to.FDs)
	if err != nil {
		return nil, err
	}
	last, err := mem.After(mm.Attrs)
	if err != nil {
		return nil, err
	}
	as := &AddressSpace{mm: mm, vmas: vmas, to: to, exe: exe, last: last}
	for _, v := range vmas {
		if kernels(v) {
			continue
		}
		if _, _, err := backing(v, to); err != nil {
			return nil, fmt.Errorf("%s: %w", (*mapping)(v), err)
		}
	}
	return as, nil
}

// AnyFDs are descriptors for a plan that nobody carries out.
type AnyFDs struct{}

// File is some descriptor.
func (AnyFDs) File(uint64, bool) (int, error) { return 0, nil }

// Shmem is some descriptor.
func (AnyFDs) Shmem(uint64) (int, error) { return 0, nil }

// Before has the calls before the contents of pages are in.
func (as *AddressSpace) Before() iter.Seq[stub.Call] {
	return func(yield func(stub.Call) bool) {
		if !each(yield, clear(as.to.Arena)...) || !each(yield, as.to.VDSO.before()...) {
			return
		}
		for _, v := range as.vmas {
			if !kernels(v) && !as.mapAll(v, yield) {
				return
			}
		}
		for c := range mem.Policies(as.mm.Attrs) {
			if !yield(c) {
				return
			}
		}
		yield(as.exe)
	}
}

func clear(arena Span) []stub.Call {
	unmap := func(from, to uint64) stub.Call {
		return stub.Call{What: "munmap of floe's first program", Nr: unix.SYS_MUNMAP, Args: []stub.Arg{stub.I(from), stub.I(to - from)}}
	}
	return []stub.Call{unmap(0, arena.Start), unmap(arena.End, UserCeiling)}
}

// kernels tells a mapping that the kernel makes itself.
func kernels(v *record.Vma) bool {
	return v.Kind == record.Vma_SPECIAL || v.Kind == record.Vma_VSYSCALL
}

// mapping is a Vma, for messages.
type mapping record.Vma

func (m *mapping) String() string { return fmt.Sprintf("%x-%x %s", m.Start, m.End, m.Name) }

// call is a call about a range of addresses, in the arguments that all calls of
// this plan are in.
func (as *AddressSpace) call(what string, of fmt.Stringer, nr uint64, start, end uint64, more ...uint64) stub.Call {
	as.args = [6]stub.Arg{{Val: start}, {Val: end - start}}
	for i, v := range more {
		as.args[2+i].Val = v
	}
	return stub.Call{What: what, Of: of, Nr: nr, Args: as.args[:2+len(more)]}
}

// mapAll plans one mapping and what is said of it; false: no more is wanted.
func (as *AddressSpace) mapAll(v *record.Vma, yield func(stub.Call) bool) bool {
	of := (*mapping)(v)
	prot := uint64(v.Prot)
	if late(v) {
		prot = unix.PROT_READ | unix.PROT_WRITE
	}
	fd, flags, _ := backing(v, as.to)
	if !yield(as.call("mmap", of, unix.SYS_MMAP, v.Start, v.End, prot, uint64(flags), uint64(fd), v.Offset)) {
		return false
	}
	standIn := Droppable(v) && !as.to.Droppable // wiped on fork and not dumped, as droppable memory is
	for f := range mem.Advices {
		if has(v, f.Name) || standIn && (f.Name == mem.Wiped || f.Name == mem.NotDumped) {
			if !yield(as.call("madvise", of, unix.SYS_MADVISE, v.Start, v.End, f.Advice)) {
				return false
			}
		}
	}
	if name, ok := anonName(v.Name); ok {
		return yield(as.nameCall(name, v))
	}
	return true
}

func (as *AddressSpace) nameCall(name string, v *record.Vma) stub.Call {
	as.name = append(append(as.name[:0], name...), 0)
	as.args = [6]stub.Arg{{Val: prSetVMA}, {Val: prSetVMAAnonName}, {Val: v.Start}, {Val: v.End - v.Start}, stub.D(as.name)}
	// Without CONFIG_ANON_VMA_NAME there are no names.
	return stub.Call{What: "name", Of: (*mapping)(v), Nr: unix.SYS_PRCTL, MayFail: true, Args: as.args[:5]}
}

func has(v *record.Vma, flag string) bool { return slices.Contains(v.Flags, flag) }

// late tells a mapping that gets its protection after its contents.
func late(v *record.Vma) bool {
	return v.Prot&unix.PROT_WRITE == 0 && private(v) && has(v, mem.Accounted)
}

// Droppable tells memory that the kernel may drop: its contents are never saved.
func Droppable(v *record.Vma) bool { return has(v, mem.Droppable) }

func private(v *record.Vma) bool {
	return v.Kind == record.Vma_ANON_PRIVATE || v.Kind == record.Vma_FILE_PRIVATE
}

// backing is the descriptor (-1: none) and the MAP_* flags of a mapping.
func backing(v *record.Vma, to Target) (fd int, flags int, err error) {
	fds := to.FDs
	fd, flags = -1, unix.MAP_FIXED_NOREPLACE
	if has(v, mem.GrowsDown) {
		flags |= unix.MAP_GROWSDOWN
	}
	if has(v, mem.NoReserve) {
		flags |= unix.MAP_NORESERVE
	}
	switch v.Kind {
	case record.Vma_ANON_PRIVATE:
		flags |= unix.MAP_ANONYMOUS
		if Droppable(v) && to.Droppable {
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
