package restorer

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"floe/lib/clocks"
	"floe/lib/cpu"
	"floe/lib/fds"
	"floe/lib/kabi"
	"floe/lib/plan"
	"floe/lib/record"
	"floe/lib/vdso"
)

var errNoGuards = errors.New("it has guard regions (MADV_GUARD_INSTALL), which this kernel has not: Linux 6.13 or newer")

// checkThreads looks whether what the threads have in registers fits this
// processor's, and warns of instructions that it lacks: only the programs know
// whether they use them.
func (r *Restorer) checkThreads(report reasons) error {
	from := r.im.Header.Cpu
	var err error
	if r.cpu, err = cpu.Here(); err != nil {
		return err
	}
	if missing := cpu.Lacks(from, r.cpu); len(missing) > 0 && r.opt.Warnf != nil {
		r.opt.Warnf("this processor lacks features of the one that the image comes from: %s; programs that use them will fail", strings.Join(missing, " "))
	}
	for _, t := range r.im.Tasks {
		if t.State == record.Task_ZOMBIE {
			continue
		}
		var before *record.Thread
		for _, tid := range t.Tids {
			th := r.im.Thread(tid)
			if err := r.checkThread(t, before, th, report); err != nil {
				return err
			}
			if tid != t.Pid {
				before = th
			}
			if _, err := cpu.XState(th.GetXstate(), from, r.cpu); err != nil {
				if err := report(fmt.Errorf("thread %d (%s): %w", tid, th.GetComm(), err)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// checkKernel looks for what the kernel was built without, or is too old for.
func (r *Restorer) checkKernel(report reasons) error {
	if err := mmMapSize(); err != nil {
		if err := report(fmt.Errorf("this kernel can't set up a process's memory (PR_SET_MM_MAP: %w): it is built without CONFIG_CHECKPOINT_RESTORE", err)); err != nil {
			return err
		}
	}
	for _, t := range r.im.Tasks {
		if err := plan.CheckTimers(t.PosixTimers, kabi.TimerIDs.Here()); err != nil {
			if err := report(taskErr(t, err)); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkClocks looks whether a time namespace can have the offsets that let the
// tree's clocks go on.
func (r *Restorer) checkClocks(report reasons) error {
	if err := r.planClocks(); err != nil {
		return err
	}
	own, err := clocks.Own()
	if err != nil || r.clocks == own {
		return err
	}
	const hint = "; restore --clocks host gives the tree those of this boot"
	if !r.own.has(unix.CAP_SYS_TIME) || !r.own.has(unix.CAP_SYS_ADMIN) {
		return report(fmt.Errorf("the image's clocks can't go on here: a time namespace needs CAP_SYS_ADMIN and CAP_SYS_TIME%s", hint))
	}
	if !clocks.Namespaces() {
		return report(fmt.Errorf("the image's clocks can't go on here: this kernel has no time namespaces%s", hint))
	}
	now, err := clocks.Now()
	if err != nil {
		return err
	}
	for _, c := range []struct {
		name      string
		now, plus int64
	}{{"CLOCK_MONOTONIC", now.MonotonicNs, r.clocks.Monotonic}, {"CLOCK_BOOTTIME", now.BoottimeNs, r.clocks.Boottime}} {
		// The kernel wants a clock that is past zero and has half of its range left.
		if at := float64(c.now) + float64(c.plus); at < 0 || at > math.MaxInt64/2 {
			if err := report(fmt.Errorf("the image's clocks can't go on here: %s would be at %.0f s%s", c.name, at/1e9, hint)); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkFiles looks for the files that the tree has open or mapped. A restore opens
// those that are mapped next, before it makes anything.
func (r *Restorer) checkFiles(report reasons) error {
	var use []fds.Mapped
	if r.examine {
		use = r.mappedFiles()
	}
	if err := fds.CheckFiles(r.im, use, r.openOptions(), report); err != nil {
		return err
	}
	return fds.CheckLocks(r.im, report)
}

// mappedFiles lists the files that are mapped, and programs.
func (r *Restorer) mappedFiles() []fds.Mapped {
	var use []fds.Mapped
	seen := map[fileUse]bool{}
	add := func(u fileUse) {
		if !seen[u] {
			seen[u] = true
			use = append(use, fds.Mapped{FileID: u.id, Writable: u.writable})
		}
	}
	for id, mm := range r.im.Mms {
		add(fileUse{mm.ExeFile, false})
		for _, v := range r.im.Vmas[id] {
			if v.Kind == record.Vma_FILE_PRIVATE || v.Kind == record.Vma_FILE_SHARED {
				add(useOf(v))
			}
		}
	}
	slices.SortFunc(use, func(a, b fds.Mapped) int { return cmp.Compare(a.FileID, b.FileID) })
	return use
}

// checkVDSOs finds out how each address space gets its vDSO.
func (r *Restorer) checkVDSOs(report reasons) error {
	r.vdsos = map[uint64]*imageVDSO{}
	here, err := vdso.Here()
	if err != nil {
		return fmt.Errorf("this kernel's vDSO: %w", err)
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return err
	}
	r.kernel = kernelVDSO{VDSO: here, release: unix.ByteSliceToString(u.Release[:])}
	parsed := vdso.Parsed{}
	for _, id := range slices.Sorted(maps.Keys(r.im.Vdsos)) {
		v, err := r.checkVDSO(r.im.Vdsos[id], parsed)
		if err == nil {
			r.vdsos[id] = v
		} else if err := report(err); err != nil {
			return err
		}
	}
	return nil
}
