package tracer

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Signal sends a signal to a process that this thread traces. A process that is
// not its tracee, or not any more, gets nothing: ErrTaskGone.
//
// It is safe against ids that are given out again, and needs no descriptor, of
// which there may be none left or too few for a large tree: a tracee keeps its
// id until its tracer has waited for its end, whoever its parent is. This thread
// alone waits for its tracees. So once the kernel has said that the id is a
// tracee's, it stays this tracee's until this thread waits again.
func (p *Ptrace) Signal(pid TID, sig unix.Signal) error {
	// The request that a running tracee takes too. Nothing comes of it: what is
	// sent comes first, or the detachment takes the request back.
	if err := p.Interrupt(pid); err != nil {
		return err
	}
	return wrap("signal", pid, unix.Kill(int(pid), sig))
}

// Deafen has this process ignore every signal from here on that it can, but for
// those that its runtime needs. Whoever waits for the end of a tracee's last
// thread can get the signal that the tracee ends with, if its first thread has
// ended before: the kernel turns it into SIGCHLD for a tracer only where all end
// at once. A process may have chosen any (clone(2)).
func (p *Ptrace) Deafen() error {
	for sig := unix.Signal(1); sig <= lastSignal; sig++ {
		switch sig {
		case unix.SIGKILL, unix.SIGSTOP, unix.SIGCHLD, unix.SIGURG:
			continue
		}
		if err := ignore(sig); err != nil {
			return fmt.Errorf("ignoring signal %d: %w", sig, err)
		}
	}
	return nil
}

const lastSignal = 64
