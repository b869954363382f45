package inject

import "floe/lib/tracer"

// Segment selectors of a 64-bit user task, <asm/segment.h>.
const (
	userCS = 0x33
	userDS = 0x2b
)

// baseRegs are the registers of a puppet that runs floe's code: flat segments,
// interrupts on, no system call to restart.
func baseRegs() tracer.Regs {
	return tracer.Regs{Cs: userCS, Ss: userDS, Eflags: 0x202, Orig_rax: ^uint64(0)}
}
