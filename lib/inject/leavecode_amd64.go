package inject

import (
	"golang.org/x/sys/unix"

	"floe/lib/tracer"
)

// leaveProgram builds the code by which a restored task leaves the arena, at
// address at in its vDSO:
//
//	munmap           size bytes at base; stop 0 is its return
//	rt_sigprocmask   the task's own mask
//	all registers to what they are in own; jump to where that goes on
//
// It is entered with every signal blocked, and with the task's own rsp and
// eflags, which it leaves alone, as guestProgram does. It needs no memory and
// makes no call that a limit of the task counts for, and without a tracer it
// comes to its end by itself.
func leaveProgram(at, base, size, mask uint64, own *tracer.Regs) guest {
	a := &asm{b: append([]byte(nil), guestMagic[:]...)}
	a.data(blockAllBut(0))
	a.data(mask)
	g := guest{entry: at + uint64(len(a.b))}
	a.call(unix.SYS_MUNMAP, base, size)
	g.stops = append(g.stops, at+uint64(len(a.b)))
	a.sigmask(ownMaskAt)
	a.most(own)
	a.out(own)
	g.code = a.b
	return g
}

// leaveRegs begin a leaveProgram in a task that will have the registers own.
func leaveRegs(entry uint64, own *tracer.Regs) tracer.Regs {
	r := *own
	r.Rip, r.Orig_rax = entry, ^uint64(0)
	return r
}

// callReturned tells a stop at a system call's return from one at its entry,
// where rax has what no call that is known to the kernel returns.
func callReturned(r *tracer.Regs) bool { return callResult(r) != -int64(unix.ENOSYS) }
