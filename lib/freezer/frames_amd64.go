package freezer

import (
	"encoding/binary"

	"floe/lib/tracer"
)

// Of the part of a signal frame, struct rt_sigframe, that a handler returns by,
// struct sigcontext of <asm/sigcontext.h>; offsets from the saved rip, bytes.
const (
	frameSP       = -8
	frameFlags    = 8
	frameSegments = 16 // cs, gs, fs, ss; 16 bits each
	frameFPState  = 56
	frameBytes    = 64
)

// segments is what a 64-bit task has in frameSegments.
const segments = 0x002b_0000_0000_0033

// savedPCs lists where handlers that are on a stack will return to. b is the
// stack from address at on. Remains of frames that are no more are taken for
// frames: too many are no harm.
func savedPCs(b []byte, at uint64, found func(pc, sp uint64)) {
	le := binary.LittleEndian
	for i := -frameSP; i+frameBytes <= len(b); i += 8 {
		if le.Uint64(b[i+frameSegments:]) != segments {
			continue
		}
		const reserved = 1 << 1 // always set in rflags
		flags := le.Uint64(b[i+frameFlags:])
		if flags&reserved == 0 || flags>>22 != 0 {
			continue
		}
		// The floating-point state lies above, within the same push.
		if fp := le.Uint64(b[i+frameFPState:]); fp != 0 && fp < at+uint64(i) {
			continue
		}
		found(le.Uint64(b[i:]), le.Uint64(b[i+frameSP:]))
	}
}

// stackOf is where a thread's stack begins: what lies below is nobody's.
func stackOf(r *tracer.Regs) uint64 { return r.Rsp }
