package restorer

import (
	"fmt"
	"slices"
	"strings"

	"floe/lib/attr"
	"floe/lib/record"
)

// checkAttributes looks what the tree would inherit from this process, and what
// this machine can't give it.
func (r *Restorer) checkAttributes(report reasons) error {
	process, thread, status, err := attr.Own()
	if err != nil {
		return err
	}
	r.here = &attr.Here{Process: process, Thread: thread, Status: status, Tasks: r.im.Tasks, Threads: r.im.Thread,
		Vmas: func(t *record.Task) []*record.Vma { return r.im.Vmas[t.MmId] }, Accept: r.opt.Inherit, Cgroups: r.opt.Cgroups}
	if err := report.all(r.here.Fixed()); err != nil {
		return err
	}
	for _, t := range r.im.Tasks {
		if t.State == record.Task_ZOMBIE {
			continue
		}
		list := r.here.CannotProcess(t)
		for _, tid := range t.Tids {
			list = append(list, r.here.CannotThread(r.im.Thread(tid))...)
		}
		for _, err := range list {
			if err := report(taskErr(t, err)); err != nil {
				return err
			}
		}
	}
	return nil
}

// CheckInherit refuses names that no attribute has.
func CheckInherit(names []string) error {
	known := attr.Names()
	for _, name := range names {
		if !slices.Contains(known, name) {
			return fmt.Errorf("--inherit %s: there is no such attribute; those that there are: %s", name, strings.Join(known, ", "))
		}
	}
	return nil
}
