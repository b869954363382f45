package restorer

import (
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/tracer"
)

// Root is the root of a restored tree, a child of this process.
type Root struct {
	PID   int32
	PIDFD int // close-on-exec
	// Ended is how it ended, if it did while it was let go and has been waited
	// for.
	Ended *tracer.Stop
}

// rooted takes hold of the root, which has just been made: a tracee whose end
// nobody has waited for.
func (r *Restorer) rooted(pid int32) error {
	fd, err := unix.PidfdOpen(int(pid), 0)
	if err != nil {
		return fmt.Errorf("pidfd of task %d: %w", pid, err)
	}
	r.root = &Root{PID: pid, PIDFD: fd}
	return nil
}
