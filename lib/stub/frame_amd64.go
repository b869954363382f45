package stub

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// struct rt_sigframe less its return address (arch/x86/include/asm/sigframe.h):
//
//	  0  ucontext: flags u64, link u64, stack_t 24, sigcontext 256, sigset u64
//	304  siginfo, 128 (not read by rt_sigreturn)
//	     xsave area at a multiple of 64
const (
	ucFlags    = 0
	ucMContext = 40
	ucSigMask  = 296
	ucEnd      = 432
	ucFpXState = 1 // UC_FP_XSTATE
	ucSigSS    = 2 // UC_SIGCONTEXT_SS
	ucStrictSS = 4

	// The software bytes of the legacy area, struct _fpx_sw_bytes.
	swBytes   = 464
	fpMagic1  = 0x46505853
	fpMagic2  = 0x46505845
	fpAlign   = 64
	xsaveBits = 512 // XSTATE_BV of the xsave header
)

// FrameRoom is how many bytes Frame takes at most for an xsave area of n bytes.
func FrameRoom(n int) int { return ucEnd + fpAlign + n + 4 + 16 }

// AltStack is a stack_t.
type AltStack struct {
	SP    uint64
	Flags uint32
	Size  uint64
}

// Frame builds a signal frame at address base from which rt_sigreturn(2) with
// SP = base restores regs, the xsave area, the signal mask and the alternate
// signal stack. The segment
// bases are not part of a frame: set them before.
func Frame(base uint64, regs *unix.PtraceRegs, xstate []byte, xcr0, mask uint64, alt AltStack) []byte {
	fp := (base + ucEnd + fpAlign - 1) &^ (fpAlign - 1)
	b := make([]byte, int(fp-base)+len(xstate)+4)
	le := binary.LittleEndian
	le.PutUint64(b[ucFlags:], ucFpXState|ucSigSS|ucStrictSS)
	le.PutUint64(b[16:], alt.SP)
	le.PutUint32(b[24:], alt.Flags)
	le.PutUint64(b[32:], alt.Size)
	for i, v := range []uint64{regs.R8, regs.R9, regs.R10, regs.R11, regs.R12, regs.R13, regs.R14, regs.R15,
		regs.Rdi, regs.Rsi, regs.Rbp, regs.Rbx, regs.Rdx, regs.Rax, regs.Rcx, regs.Rsp, regs.Rip, regs.Eflags} {
		le.PutUint64(b[ucMContext+8*i:], v)
	}
	seg := b[ucMContext+8*18:]
	le.PutUint16(seg, uint16(regs.Cs))
	le.PutUint16(seg[2:], uint16(regs.Gs))
	le.PutUint16(seg[4:], uint16(regs.Fs))
	le.PutUint16(seg[6:], uint16(regs.Ss))
	le.PutUint64(b[ucMContext+184:], fp) // fpstate
	le.PutUint64(b[ucSigMask:], mask)
	x := b[fp-base:]
	copy(x, xstate)
	le.PutUint32(x[swBytes:], fpMagic1)
	le.PutUint32(x[swBytes+4:], uint32(len(xstate)+4)) // extended_size
	le.PutUint64(x[swBytes+8:], xcr0)                  // xfeatures
	le.PutUint32(x[swBytes+16:], uint32(len(xstate)))  // xstate_size
	le.PutUint32(x[len(xstate):], fpMagic2)
	return b
}
