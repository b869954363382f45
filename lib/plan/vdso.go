package plan

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sort"

	"golang.org/x/sys/unix"

	"floe/lib/mem"
	"floe/lib/record"
	"floe/lib/stub"
)

// VDSO says what of vDSOs goes where in an address space.
type VDSO struct {
	Kernel uint64   // address of the first of the kernel's areas; 0: none
	Own    []Region // floe's own mappings
}

// Region is one of floe's own mappings, private memory of no file.
type Region struct {
	Span
	Prot   uint32 // PROT_*, in the end
	Filled bool   // its contents come between AddressSpace.Before and After
	Name   string
}

// before plans the kernel's areas and floe's mappings. One that is filled can
// be written until it gets its protection (after), and executed only then.
func (v VDSO) before() []stub.Call {
	var calls []stub.Call
	if v.Kernel != 0 {
		calls = append(calls, mapVDSO(v.Kernel))
	}
	for _, r := range v.Own {
		size, prot := r.End-r.Start, uint64(r.Prot)
		if r.Filled {
			prot = unix.PROT_READ | unix.PROT_WRITE
		}
		calls = append(calls, stub.Call{What: "mmap of " + r.Name, Nr: unix.SYS_MMAP,
			Args: []stub.Arg{stub.I(r.Start), stub.I(size), stub.I(prot),
				stub.I(unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_FIXED_NOREPLACE | unix.MAP_NORESERVE), stub.I(-1), stub.I(0)}},
			nameCall(r.Name, r.Start, size))
	}
	return calls
}

func (v VDSO) after() []stub.Call {
	var calls []stub.Call
	for _, r := range v.Own {
		if r.Filled {
			calls = append(calls, stub.Call{What: "mprotect of " + r.Name, Nr: unix.SYS_MPROTECT,
				Args: []stub.Arg{stub.I(r.Start), stub.I(r.End - r.Start), stub.I(r.Prot)}})
		}
	}
	return calls
}

// nameCall names anonymous memory, on kernels that can.
func nameCall(name string, start, size uint64) stub.Call {
	return stub.Call{What: "name of " + name, Nr: unix.SYS_PRCTL, MayFail: true, // without CONFIG_ANON_VMA_NAME
		Args: []stub.Arg{stub.I(prSetVMA), stub.I(prSetVMAAnonName), stub.I(start), stub.I(size), stub.S(name)}}
}

const pageSize = 4096

// stackRoom is how far below a stack nothing is put that must stay: it grows.
const stackRoom = 1 << 30

// PlaceVDSO finds size bytes for a runtime vDSO: above the image's own, which
// end at above, where nothing grows; or else in the highest gap that no stack
// grows into; with a free page on either side. used is what there is besides
// the mappings.
func PlaceVDSO(mm *record.Mm, vmas []*record.Vma, used []Span, above, size uint64) (uint64, error) {
	for _, v := range vmas {
		s := Span{v.Start, v.End}
		if slices.Contains(v.Flags, mem.GrowsDown) && s.Start > stackRoom {
			s.Start -= stackRoom
		}
		used = append(used, s)
	}
	if at := sysinfo(mm.Auxv); at != 0 {
		// A process whose auxiliary vector tells where the kernel's is has no proxy.
		used = append(used, Span{at &^ (pageSize - 1), at&^(pageSize-1) + pageSize})
	}
	sort.Slice(used, func(i, j int) bool { return used[i].Start < used[j].Start })
	used = append(used, Span{UserCeiling, UserCeiling + pageSize})
	need := size + 2*pageSize
	var below uint64
	last := uint64(holeFloor)
	for _, s := range used {
		if s.Start >= last && s.Start-last >= need {
			if last >= above {
				return last + pageSize, nil
			}
			below = s.Start - need + pageSize
		}
		last = max(last, s.End)
	}
	if below == 0 {
		return 0, fmt.Errorf("no %d bytes of address space are free for this kernel's vDSO", need)
	}
	return below, nil
}

// sysinfo is AT_SYSINFO_EHDR of an auxiliary vector, 0 without.
func sysinfo(auxv []byte) uint64 {
	const atSysinfoEhdr, pair = 33, 16
	for ; len(auxv) >= pair; auxv = auxv[pair:] {
		if binary.LittleEndian.Uint64(auxv) == atSysinfoEhdr {
			return binary.LittleEndian.Uint64(auxv[8:])
		}
	}
	return 0
}
