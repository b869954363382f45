package plan

import (
	"fmt"
	"iter"

	"golang.org/x/sys/unix"

	"floe/lib/mem"
	"floe/lib/record"
	"floe/lib/stub"
)

// <asm-generic/mman-common.h> and <linux/mman.h>: what x/sys lacks.
const (
	madvGuardInstall = 102 // Linux 6.13
	mlockOnFault     = 1   // Linux 4.4
)

// After has the calls once the contents of pages are in. guards are the address
// space's guard regions, from start to end; only a task itself can install one.
func (as *AddressSpace) After(guards iter.Seq2[uint64, uint64]) iter.Seq[stub.Call] {
	return func(yield func(stub.Call) bool) {
		for start, end := range guards {
			if !yield(as.call("madvise(MADV_GUARD_INSTALL)", (*span)(&Span{start, end}), unix.SYS_MADVISE, start, end, madvGuardInstall)) {
				return
			}
		}
		for _, v := range as.vmas {
			if !kernels(v) && late(v) && !yield(as.call("mprotect", (*mapping)(v), unix.SYS_MPROTECT, v.Start, v.End, uint64(v.Prot))) {
				return
			}
		}
		if !each(yield, as.to.VDSO.after()...) {
			return
		}
		for _, v := range as.vmas {
			if locked(v) && (!yield(as.lock(v)) || !as.drop(v, yield)) {
				return
			}
		}
		for _, v := range as.vmas {
			if Sealed(v) && !yield(as.call("mseal", (*mapping)(v), unix.SYS_MSEAL, v.Start, v.End, 0)) {
				return
			}
		}
		each(yield, as.last...)
	}
}

// Sealed tells a mapping that has to be sealed (mseal(2), Linux 6.10).
func Sealed(v *record.Vma) bool { return has(v, mem.Sealed) && !kernels(v) }

// span is a range of addresses, for messages.
type span Span

func (s *span) String() string { return fmt.Sprintf("%x-%x", s.Start, s.End) }

// locked tells a mapping that has to be locked. The kernel locks no droppable
// memory: what was locked is what stood for it, on one that has none.
func locked(v *record.Vma) bool { return has(v, mem.Locked) && !kernels(v) && !Droppable(v) }

// lock plans the locking of a mapping. The kernel first marks it, then populates
// it, and says ENOMEM when it comes to a page that can't be there: of memory
// that may not be accessed, in a guard region, past the end of a file. The
// mapping is locked all the same. ENOMEM has other reasons too, so Locked says
// how much must be locked in the end.
func (as *AddressSpace) lock(v *record.Vma) stub.Call {
	c := as.call("mlock", (*mapping)(v), unix.SYS_MLOCK, v.Start, v.End)
	if has(v, mem.OnFault) {
		c = as.call("mlock on fault", (*mapping)(v), unix.SYS_MLOCK2, v.Start, v.End, mlockOnFault)
	}
	c.Excused = unix.ENOMEM
	return c
}

// Resident gives the pages of files and shared objects that have to be there in
// a mapping that is locked on fault, from start to end, by address.
func Resident(v *record.Vma) iter.Seq2[uint64, uint64] { return pageRuns(v, v.Resident) }

// pageRuns gives every other one of the runs of pages of a mapping.
func pageRuns(v *record.Vma, runs []uint32) iter.Seq2[uint64, uint64] {
	return func(yield func(start, end uint64) bool) {
		at := v.Start
		for i, n := range runs {
			end := at + uint64(n)*pageSize
			if i%2 == 1 && n > 0 && !yield(at, end) {
				return
			}
			at = end
		}
	}
}

// drop plans that pages are not there which mlock(2) has filled. Before Linux 5.18
// a process can't drop what is locked, so there they stay.
func (as *AddressSpace) drop(v *record.Vma, yield func(stub.Call) bool) bool {
	for start, end := range pageRuns(v, v.Dropped) {
		c := as.call("madvise(MADV_DONTNEED_LOCKED)", (*mapping)(v), unix.SYS_MADVISE, start, end, unix.MADV_DONTNEED_LOCKED)
		c.Excused = unix.EINVAL
		if !yield(c) {
			return false
		}
	}
	return true
}

// Mappings is how many mappings count for vm.max_map_count.
func Mappings(vmas []*record.Vma) int {
	n := len(vmas)
	for _, v := range vmas {
		if v.Kind == record.Vma_VSYSCALL {
			n--
		}
	}
	return n
}

// Locked is how many bytes are locked in the end, as VmLck of /proc/PID/status
// shows it.
func Locked(vmas []*record.Vma) uint64 {
	var n uint64
	for _, v := range vmas {
		if locked(v) {
			n += v.End - v.Start
		}
	}
	return n
}

// Populated is about how much memory the locks fill, bytes: private memory that
// can be written and objects of shared memory, all of them, whether the image has
// contents for them or not; and the page tables of what else can be accessed.
// objects are the shared ones that were counted before.
func Populated(vmas []*record.Vma, objects map[uint64]bool) uint64 {
	const pageTables = 512 // bytes that eight bytes of them map
	var n uint64
	for _, v := range vmas {
		size := v.End - v.Start
		switch {
		case has(v, mem.OnFault):
			for start, end := range Resident(v) {
				n += end - start
			}
		case !locked(v) || v.Prot == 0:
		case v.Kind == record.Vma_ANON_SHARED && !objects[v.ShmemId]:
			objects[v.ShmemId] = true
			n += v.ObjectSize()
		case private(v) && v.Prot&unix.PROT_WRITE != 0:
			n += size
		default:
			n += size / pageTables
		}
	}
	return n
}
