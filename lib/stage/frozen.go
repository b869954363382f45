package stage

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

	"floe/lib/image"
	"floe/lib/record"
)

// checkFrozen makes sure that the tasks of the stream are the ones that run
// under these ids, and that freeze holds every thread of them.
func checkFrozen(im *image.Image) error {
	for _, t := range im.Tasks {
		if t.State == record.Task_ZOMBIE {
			if err := frozen(t.Pid, t.StartTime, "Z"); err != nil {
				return err
			}
			continue
		}
		for _, tid := range t.Tids {
			th := im.Threads[tid]
			if th == nil {
				return fmt.Errorf("task %d: thread %d is not in the stream", t.Pid, tid)
			}
			if err := frozen(tid, th.StartTime, "t"); err != nil {
				return err
			}
		}
		if err := heldBy(t.Pid, im.Header.Lease); err != nil {
			return err
		}
	}
	return nil
}

// frozen checks a thread's start time and that its state is one of states.
func frozen(tid int32, start uint64, states string) error {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", tid))
	if err != nil {
		return fmt.Errorf("task %d is gone", tid)
	}
	const startTime = 22 - 3 // fields after the comm
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(f) <= startTime {
		return fmt.Errorf("/proc/%d/stat: malformed", tid)
	}
	if got, err := strconv.ParseUint(string(f[startTime]), 10, 64); err != nil || got != start {
		return fmt.Errorf("task %d is gone: another process has its id", tid)
	}
	if !bytes.Contains([]byte(states), f[0]) {
		return fmt.Errorf("task %d is not frozen any more (state %s)", tid, f[0])
	}
	return nil
}

// heldBy checks that a process's tracer is a thread of freeze.
func heldBy(pid int32, l *record.Lease) error {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return fmt.Errorf("task %d is gone", pid)
	}
	_, rest, _ := bytes.Cut(b, []byte("\nTracerPid:\t"))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	tracer, err := strconv.Atoi(string(line))
	if err != nil || tracer == 0 {
		return fmt.Errorf("task %d is not frozen any more", pid)
	}
	if _, err := os.Stat(fmt.Sprintf("/proc/%d/task/%d", l.Pid, tracer)); err != nil {
		return fmt.Errorf("task %d is held by task %d, not by freeze (task %d)", pid, tracer, l.Pid)
	}
	return nil
}
