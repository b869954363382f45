package restorer

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"floe/lib/inject"
	"floe/lib/kabi"
	"floe/lib/plan"
	"floe/lib/procfs"
	"floe/lib/record"
	"floe/lib/stub"
	"floe/lib/tracer"
)

// checkSpaces looks whether the address spaces are within this machine's bounds.
func (r *Restorer) checkSpaces(report reasons) error {
	most, err := procfs.MaxMapCount()
	if err != nil {
		return err
	}
	least, err := setting("vm.mmap_min_addr")
	if err != nil {
		return err
	}
	var filled uint64
	objects := map[uint64]bool{}
	for _, t := range r.im.Tasks {
		if t.State == record.Task_ZOMBIE || !r.shares.OwnsMM(t) {
			continue
		}
		vmas := r.im.Vmas[t.MmId]
		filled += plan.Populated(vmas, objects)
		if err := report.all(append(r.spaceOf(t, vmas, most), r.tooLow(t, least)...)); err != nil {
			return err
		}
	}
	if filled > r.own.memory { // nor can it be swapped out
		return report(fmt.Errorf("%d MiB of memory have to be locked (mlock); this machine has %d", filled>>20, r.own.memory>>20))
	}
	return nil
}

func (r *Restorer) spaceOf(t *record.Task, vmas []*record.Vma, most int) (list []error) {
	if n := plan.Mappings(vmas); n+inject.ArenaMappings > most {
		list = append(list, taskErr(t, fmt.Errorf("it has %d mappings, and restore needs %d more; limit is %d (vm.max_map_count)", n, inject.ArenaMappings, most)))
	}
	if !kabi.Seals.Here() && slices.ContainsFunc(vmas, plan.Sealed) {
		list = append(list, taskErr(t, fmt.Errorf("it has sealed mappings (mseal), which this kernel has not: Linux 6.10 or newer")))
	}
	limit := r.own.limits[unix.RLIMIT_MEMLOCK].Max
	if locked := plan.Locked(vmas); locked > limit && !r.own.has(unix.CAP_IPC_LOCK) {
		list = append(list, taskErr(t, fmt.Errorf("it has %d bytes locked; restore's own limit is %d (ulimit -Hl) without CAP_IPC_LOCK", locked, limit)))
	}
	return list
}

// tooLow tells why a process can't have its program where it was.
func (r *Restorer) tooLow(t *record.Task, least uint64) []error {
	if at := lowest(r.im.Mms[t.MmId]); at < least {
		return []error{taskErr(t, fmt.Errorf("its program or what belongs to it is at %#x; the lowest address is %#x here (vm.mmap_min_addr)", at, least))}
	}
	return nil
}

// lowest is the lowest address that PR_SET_MM_MAP is to set.
func lowest(mm *record.Mm) uint64 {
	return min(mm.StartCode, mm.EndCode, mm.StartData, mm.EndData, mm.StartBrk, mm.Brk, mm.StartStack, mm.ArgStart, mm.ArgEnd, mm.EnvStart, mm.EnvEnd)
}

// mapMemory gives each process its address space, without the contents.
func (r *Restorer) mapMemory(p *tracer.Ptrace) error {
	defer r.mapped.closeFiles()
	return r.live(func(t *record.Task) error {
		tid, early := tracer.TID(t.Pid), slices.Values(plan.Early(r.own.limits))
		if err := r.here.Place(t); err != nil {
			return err
		}
		for _, calls := range r.here.Early(t) {
			if _, err := r.arena.Run(p, tid, calls); err != nil {
				return err
			}
		}
		if !r.shares.OwnsMM(t) {
			return r.arena.RunSeq(p, tid, early)
		}
		h := r.handlesOf(t.MmId)
		as, err := r.planMemory(t, h)
		if err != nil {
			return err
		}
		r.mms[t.MmId] = as
		fetch, drop := slices.Values(plan.Fetch(h.list)), slices.Values([]stub.Call{plan.Drop()})
		if err := r.arena.RunSeq(p, tid, early, fetch, as.Before(), drop); err != nil {
			return err
		}
		return r.fillVDSO(t)
	})
}

func (r *Restorer) planMemory(t *record.Task, h *handles) (*plan.AddressSpace, error) {
	mm := r.im.Mms[t.MmId]
	if mm == nil {
		return nil, fmt.Errorf("its memory map is not in the image")
	}
	arena := plan.Span{Start: r.arena.Base, End: r.arena.End()}
	v, err := r.planVDSO(t.MmId, arena)
	if err != nil {
		return nil, err
	}
	return plan.Memory(mm, r.im.Vmas[t.MmId], plan.Target{Arena: arena, VDSO: v, Droppable: kabi.Droppable.Here(), FDs: h})
}

// target tells through which process the pages of an address space go.
func (r *Restorer) target() func(mmID uint64) (int, bool) {
	owners := map[uint64]int{}
	for _, t := range r.im.Tasks {
		if t.State != record.Task_ZOMBIE && r.shares.OwnsMM(t) {
			owners[t.MmId] = int(t.Pid)
		}
	}
	return func(mmID uint64) (int, bool) {
		pid, ok := owners[mmID]
		return pid, ok
	}
}

// finishMemory sets what must wait for the pages.
func (r *Restorer) finishMemory(p *tracer.Ptrace) error {
	if err := r.checkGuards(); err != nil {
		return err
	}
	return r.live(func(t *record.Task) error {
		if !r.shares.OwnsMM(t) {
			return nil
		}
		if err := r.arena.RunSeq(p, tracer.TID(t.Pid), r.mms[t.MmId].After(r.guards.Of(t.MmId))); err != nil {
			return err
		}
		if err := r.touchResident(t); err != nil {
			return err
		}
		return r.checkLocked(t)
	})
}

// touchResident has the pages of files and shared objects there that memory which
// is locked on fault had: whatever its protection, as a debugger does.
func (r *Restorer) touchResident(t *record.Task) error {
	var mem *tracer.Mem
	for _, v := range r.im.Vmas[t.MmId] {
		for start, end := range plan.Resident(v) {
			if mem == nil {
				var err error
				if mem, err = tracer.OpenMem(tracer.TID(t.Pid)); err != nil {
					return err
				}
				defer mem.Close()
			}
			for at := start; at < end; at += stub.PageSize {
				if err := mem.Read(tracer.Addr(at), make([]byte, 1)); err != nil {
					return fmt.Errorf("a page that was locked: %w", err)
				}
			}
		}
	}
	return nil
}

// checkGuards checks that all guard regions have a place, and that this kernel
// has any.
func (r *Restorer) checkGuards() error {
	some := false
	for mm := range r.guards.Spaces() {
		if some = true; r.mms[mm] == nil {
			return fmt.Errorf("a guard region belongs to address space %d, which no task has", mm)
		}
	}
	if some && !kabi.Guards.Here() {
		return errNoGuards
	}
	return nil
}

// checkLocked checks that all is locked that has to be: mlock(2) reports what it
// could not populate like what it could not lock.
func (r *Restorer) checkLocked(t *record.Task) error {
	want := plan.Locked(r.im.Vmas[t.MmId])
	if want == 0 {
		return nil
	}
	status, err := procfs.ReadFile(fmt.Sprintf("/proc/%d/status", t.Pid))
	if err != nil {
		return err
	}
	_, rest, _ := bytes.Cut(status, []byte("\nVmLck:"))
	line, _, _ := bytes.Cut(rest, []byte(" kB\n"))
	have, err := strconv.ParseUint(string(bytes.TrimSpace(line)), 10, 64)
	if err != nil {
		return fmt.Errorf("its status does not say how much of it is locked: %w", err)
	}
	if have<<10 != want {
		return fmt.Errorf("mlock: %d KiB of its memory are locked, it had %d", have, want>>10)
	}
	return nil
}
