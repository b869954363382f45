package restorer

import (
	"fmt"
	"slices"
	"strings"

	"floe/lib/attr"
	"floe/lib/record"
	"floe/lib/stub"
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
		if err := report.ofTask(t, r.here.CannotProcess(t)); err != nil {
			return err
		}
	}
	return nil
}

// checkThread looks what this machine can't give a thread; before is the one of
// its process that is made before it, nil: none but the first. What has to be done
// first to make it is noted: something for few.
func (r *Restorer) checkThread(t *record.Task, before, th *record.Thread, report reasons) error {
	if th.GetTid() != t.Pid {
		if calls := attr.Fork(before, th); len(calls) > 0 {
			if r.before == nil {
				r.before = map[int32][]stub.Call{}
			}
			r.before[th.Tid] = calls
		}
	}
	return report.ofTask(t, r.here.CannotThread(th))
}

func (report reasons) ofTask(t *record.Task, list []error) error {
	for _, err := range list {
		if err := report(taskErr(t, err)); err != nil {
			return err
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
