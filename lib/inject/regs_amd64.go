package inject

import (
	"golang.org/x/sys/unix"

	"floe/lib/tracer"
)

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

// tableRegs begin the table stub at code on a table of n entries; see
// package stub for the registers that it takes.
func tableRegs(code, table uint64, n int) tracer.Regs {
	r := baseRegs()
	r.Rip, r.R12, r.R13 = code, table, uint64(n)
	return r
}

// tableIndex is the index that the table stub stopped at.
func tableIndex(r *tracer.Regs) uint64 { return r.R14 }

// callRegs begin a system call at a syscall instruction.
func callRegs(at, nr uint64, args []uint64) tracer.Regs {
	r := baseRegs()
	r.Rip, r.Rax = at, nr
	for i, to := range []*uint64{&r.Rdi, &r.Rsi, &r.Rdx, &r.R10, &r.R8, &r.R9} {
		if i < len(args) {
			*to = args[i]
		}
	}
	return r
}

// callResult is what a system call returned: a value, or an errno negated.
func callResult(r *tracer.Regs) int64 { return int64(r.Rax) }

// gateRegs begin the gate stub at code, with a signal frame, the commit word and
// the signal that the process is sent. What a signal frame does not hold is as it
// will be in the end.
func gateRegs(code, frame, commit uint64, sig unix.Signal, final *tracer.Regs) tracer.Regs {
	r := baseRegs()
	r.Rip, r.Rsp, r.R12, r.R13 = code, frame, commit, uint64(sig)
	keepSegments(&r, final)
	return r
}

// pastGate takes the signal out of registers of a thread at the gate.
func pastGate(r *tracer.Regs) { r.R13 = 0 }

// nestedFlag is NT of the flags register, which no signal frame sets.
const nestedFlag = 0x4000

// keepSegments copies what only the task itself or its tracer can set.
func keepSegments(r, from *tracer.Regs) {
	r.Fs_base, r.Gs_base = from.Fs_base, from.Gs_base
	r.Ds, r.Es, r.Fs, r.Gs = from.Ds, from.Es, from.Fs, from.Gs
	r.Eflags |= from.Eflags & nestedFlag
}

// pc is where a task stands, for messages and for code that knows its own.
func pc(r *tracer.Regs) uint64 { return r.Rip }

// setPC says where a task goes on.
func setPC(r *tracer.Regs, at uint64) { r.Rip = at }

// guestScratch is where a guest program keeps the address of its scratch
// memory, or the errno for which it has none.
func guestScratch(r *tracer.Regs) uint64 { return r.Rbx }
