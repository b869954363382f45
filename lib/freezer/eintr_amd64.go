package freezer

import (
	"golang.org/x/sys/unix"

	"floe/lib/tracer"
)

// unbreak mends a system call that the freeze has ended with EINTR, though no
// signal came: some calls know no restart (signal(7), "Interruption of system
// calls and library functions by stop signals"). The kernel is told to make the
// call again unless a handler runs first, as it does with others. A call with a
// timeout is left ended: made again it would take too long, and who uses one
// must be ready for EINTR. It is done as soon as a thread has stopped: when
// this process is killed before, the program sees the EINTR.
func unbreak(p *tracer.Ptrace, tid tracer.TID) error {
	g, err := p.GetRegs(tid)
	if err != nil || int64(g.Rax) != -int64(unix.EINTR) || !breakable(&g) {
		return err
	}
	mask, err := p.GetSigMask(tid)
	if err != nil {
		return err
	}
	for _, shared := range []bool{false, true} {
		pending, err := p.PeekSigInfo(tid, shared)
		if err != nil {
			return err
		}
		for _, info := range pending {
			if sig := info[0]; mask>>(sig-1)&1 == 0 {
				return nil // it may be what has ended the call
			}
		}
	}
	g.Rax = ^uint64(restartNoHand) + 1
	return p.SetRegs(tid, &g)
}

// breakable tells whether a thread stands in a call that a mere stop ends, and
// that has no timeout.
func breakable(g *tracer.Regs) bool {
	switch g.Orig_rax {
	case unix.SYS_EPOLL_WAIT, unix.SYS_EPOLL_PWAIT:
		return int32(g.R10) < 0
	case unix.SYS_EPOLL_PWAIT2, unix.SYS_SEMTIMEDOP:
		return g.R10 == 0
	case unix.SYS_RT_SIGTIMEDWAIT:
		return g.Rdx == 0
	case unix.SYS_IO_GETEVENTS:
		return g.R8 == 0
	case unix.SYS_SEMOP:
		return true
	}
	return false
}
