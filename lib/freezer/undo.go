package freezer

import (
	"bytes"
	"fmt"

	"floe/lib/procfs"
)

// undo refuses a process that has used semop(2) with SEM_UNDO: what is undone at its
// end belongs to the old task, and nothing can give it to another. The kernel keeps
// that place also when there is nothing to undo at the moment. Where it does not let
// this process see it, it is not seen.
func (c *collector) undo(proc *Process) error {
	sets, err := procfs.ReadFile("/proc/sysvipc/sem")
	if err != nil || bytes.Count(sets, []byte("\n")) <= 1 {
		return nil // there is no semaphore at all
	}
	for _, th := range proc.Threads {
		if t := c.kernel.task(proc.PID, int(th.TID)); t != nil && t.Undo {
			return fmt.Errorf("it has used semop(2) with SEM_UNDO, and what its end would undo can't be given to another task")
		}
	}
	return nil
}
