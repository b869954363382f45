package tracer

import (
	"golang.org/x/sys/unix"
)

// Regs are the general registers, struct user_regs_struct.
type Regs = unix.PtraceRegs

// ntX86XState is NT_X86_XSTATE of <linux/elf.h>.
const ntX86XState = 0x202

// MaxXState bounds the xsave area, bytes: AMX's tiles (8 KiB) and room to grow.
const MaxXState = 64 << 10

// GetRegs reads the general registers of a stopped task.
func (p *Ptrace) GetRegs(tid TID) (Regs, error) {
	var r Regs
	err := unix.PtraceGetRegs(int(tid), &r)
	return r, wrap("getregs", tid, err)
}

// SetRegs sets the general registers of a stopped task, all in one request.
func (p *Ptrace) SetRegs(tid TID, r *Regs) error {
	return wrap("setregs", tid, unix.PtraceSetRegs(int(tid), r))
}

// GetXState reads the whole xsave area of a stopped task, in the standard
// (not compacted) layout.
func (p *Ptrace) GetXState(tid TID) ([]byte, error) {
	if p.xstate == nil {
		p.xstate = make([]byte, MaxXState)
	}
	n, err := ptraceRegset(unix.PTRACE_GETREGSET, tid, ntX86XState, p.xstate)
	if err != nil {
		return nil, wrap("getregset xstate", tid, err)
	}
	return append([]byte(nil), p.xstate[:n]...), nil
}

// SetXState sets the whole xsave area of a stopped task.
func (p *Ptrace) SetXState(tid TID, b []byte) error {
	_, err := ptraceRegset(unix.PTRACE_SETREGSET, tid, ntX86XState, b)
	return wrap("setregset xstate", tid, err)
}
