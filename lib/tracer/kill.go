package tracer

import "golang.org/x/sys/unix"

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
