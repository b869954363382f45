// Package verdict judges an image: whether restore could bring it back, as far
// as that depends on what is in its records. It runs all of restore's planning
// and throws the plans away. The last stage does so before it writes the pages,
// so that a tree that can't be restored is never killed; restore and imgcat
// --verify do the same.
package verdict

import (
	"fmt"
	"sort"

	"golang.org/x/sys/unix"

	"floe/lib/cpu"
	"floe/lib/fds"
	"floe/lib/image"
	"floe/lib/inject"
	"floe/lib/plan"
	"floe/lib/record"
	"floe/lib/vdso"
	"floe/lib/waits"
)

// Check checks all records of an image but those of pages, which need not be
// there yet. The error says why no restore could bring the image back.
func Check(im *image.Image) error {
	if err := im.ValidateForPages(); err != nil {
		return err
	}
	if _, err := plan.Tree(im.Tasks); err != nil {
		return err
	}
	parsed := vdso.Parsed{}
	for id, v := range im.Vdsos {
		if _, err := parsed.FromRecord(v); err != nil {
			return fmt.Errorf("memory of task %d: %w", im.Mms[id].Pid, err)
		}
	}
	for _, t := range im.Tasks {
		if err := task(im, t); err != nil {
			return fmt.Errorf("task %d (%s): %w", t.Pid, t.Comm, err)
		}
	}
	if err := fds.Check(im); err != nil {
		return err
	}
	return spaces(im)
}

// task plans all that belongs to one task and to its threads.
func task(im *image.Image, t *record.Task) error {
	if t.State == record.Task_ZOMBIE {
		return plan.CheckZombie(t)
	}
	if _, err := plan.Limits(t.Limits, t.Limits, true); err != nil {
		return err
	}
	if err := plan.CheckTraps(t, im.Thread); err != nil {
		return err
	}
	if err := plan.CheckTimers(t.PosixTimers, true); err != nil {
		return err
	}
	if err := plan.CheckAlarms(t, im.Thread(t.Pid).Creds.CapEffective); err != nil {
		return err
	}
	for _, tid := range t.Tids {
		if err := thread(im, t, im.Thread(tid)); err != nil {
			return err
		}
	}
	return nil
}

// thread plans a thread for the processor that it comes from.
func thread(im *image.Image, t *record.Task, th *record.Thread) error {
	if im.Header.Cpu == nil {
		return fmt.Errorf("the image does not say which processor it comes from")
	}
	if _, err := cpu.XState(th.Xstate, im.Header.Cpu, im.Header.Cpu); err != nil {
		return fmt.Errorf("thread %d (%s): %w", th.Tid, th.Comm, err)
	}
	if _, _, err := plan.Registers(th); err != nil {
		return err
	}
	if err := waits.Check(th); err != nil {
		return err
	}
	if a := th.Rseq; a != nil && a.Addr != 0 && !writable(im.Vmas[t.MmId], a.Addr, a.Addr+uint64(a.Size)) {
		return fmt.Errorf("thread %d (%s): its rseq area at %#x is not within memory that can be written", th.Tid, th.Comm, a.Addr)
	}
	_, err := plan.Thread(th, th.Creds.CapBounding|th.Creds.CapInheritable)
	return err
}

// writable tells whether one mapping, which can be written, has all of a range.
func writable(vmas []*record.Vma, start, end uint64) bool {
	i := sort.Search(len(vmas), func(i int) bool { return vmas[i].End > start })
	return i < len(vmas) && vmas[i].Start <= start && vmas[i].End >= end && vmas[i].Prot&unix.PROT_WRITE != 0
}

// spaces plans all address spaces, and looks for room for the arena in them.
func spaces(im *image.Image) error {
	size := inject.Size(frames(im))
	base, err := Room(im, size)
	if err != nil {
		return err
	}
	to := plan.Target{Arena: plan.Span{Start: base, End: base + size}, Droppable: true, FDs: plan.AnyFDs{}}
	for id, mm := range im.Mms {
		if _, err := plan.Memory(mm, im.Vmas[id], to); err != nil {
			return fmt.Errorf("memory of task %d: %w", mm.Pid, err)
		}
	}
	return nil
}

// frames is the room for signal frames, bytes, that the address space with the
// most threads needs on the image's own processor.
func frames(im *image.Image) int {
	threads := map[uint64]int{}
	size, most := 0, 0
	for _, t := range im.Tasks {
		if t.State == record.Task_ZOMBIE {
			continue
		}
		threads[t.MmId] += len(t.Tids)
		most = max(most, threads[t.MmId])
		for _, tid := range t.Tids {
			state, _ := cpu.FrameState(im.Thread(tid).GetXstate(), im.Header.Cpu)
			size = max(size, len(state))
		}
	}
	return most * inject.FrameSlot(size)
}

// Room finds size bytes that no address space of an image uses.
func Room(im *image.Image, size uint64) (uint64, error) {
	var used []plan.Span
	for _, vmas := range im.Vmas {
		for _, v := range vmas {
			used = append(used, plan.Span{Start: v.Start, End: v.End})
		}
	}
	for _, v := range im.Vdsos {
		for _, a := range v.Areas {
			used = append(used, plan.Span{Start: a.Start, End: a.End})
		}
	}
	return plan.Hole(used, size)
}
