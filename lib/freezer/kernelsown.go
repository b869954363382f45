package freezer

import "floe/lib/taskiter"

// kernelsOwn is what only a BPF program can see of the tree's tasks, read as it is
// asked for.
type kernelsOwn struct {
	tasks  map[int]*taskiter.Task
	timers map[int]*taskiter.Process
	failed error // it may not be asked
}

// task is what is known of a thread of process pid; nil: nothing.
func (k *kernelsOwn) task(pid, tid int) *taskiter.Task {
	if k.tasks[tid] == nil && k.failed == nil {
		k.tasks, k.failed = merge(k.tasks, pid, taskiter.Read)
	}
	return k.tasks[tid]
}

// process is what is known of the timers of process pid; nil: nothing. With anew it
// is read again.
func (k *kernelsOwn) process(pid int, anew bool) *taskiter.Process {
	if (anew || k.timers[pid] == nil) && k.failed == nil {
		k.timers, k.failed = merge(k.timers, pid, taskiter.Timers)
	}
	return k.timers[pid]
}

func merge[T any](all map[int]T, pid int, read func(int) (map[int]T, error)) (map[int]T, error) {
	more, err := read(pid)
	if all == nil {
		return more, err
	}
	for id, one := range more {
		all[id] = one
	}
	return all, err
}
