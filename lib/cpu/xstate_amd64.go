package cpu

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"floe/lib/record"
)

// The xsave area in its standard format, Intel's manual, volume 1, chapter 13.4.
const (
	legacyBytes  = 512
	headerBytes  = 64
	statesAt     = legacyBytes // XSTATE_BV, which components are not in their initial state
	legacyStates = 1<<0 | 1<<1 // x87 and SSE

	pkru        = 9
	pkruDefault = 0x55555554 // what the kernel gives a new process: no key but 0
	pkruKey0    = 3

	// A task has to ask for the state of AMX before it uses it, and the kernel
	// wants no room for it in a signal frame otherwise.
	amx = 1<<17 | 1<<18
)

// XState brings a thread's xsave area from the processor that it comes from to
// the layout of this one. Components that this one lacks must be in their
// initial state: registers that a program uses can't be left out.
func XState(area []byte, from, here *record.Cpu) ([]byte, error) {
	if len(area) < legacyBytes+headerBytes || here.XsaveSize < legacyBytes+headerBytes {
		if len(area) == int(here.XsaveSize) {
			return area, nil
		}
		return nil, fmt.Errorf("%d bytes of extended state, this processor has %d", len(area), here.XsaveSize)
	}
	le := binary.LittleEndian
	out := make([]byte, here.XsaveSize)
	copy(out, area[:legacyBytes])
	states := le.Uint64(area[statesAt:])
	kept := states & legacyStates
	for n := 2; n < 63; n++ {
		if states>>n&1 == 0 {
			continue
		}
		src := component(area, from, n)
		if src == nil {
			return nil, fmt.Errorf("component %d of its extended state is in use and not in the image", n)
		}
		dst := component(out, here, n)
		switch {
		case len(dst) == len(src) && 1<<n&amx == 0:
			copy(dst, src)
			kept |= 1 << n
		case len(bytes.Trim(src, "\x00")) == 0 || n == pkru && len(src) >= 4 && le.Uint32(src)&pkruKey0 == 0:
			// As it is in a thread that has never used it; no mapping has a key.
		default:
			return nil, fmt.Errorf("it uses registers that can't be restored on this processor (component %d of the xsave area)", n)
		}
	}
	if dst := component(out, here, pkru); len(dst) >= 4 && from.Xcr0>>pkru&1 == 0 {
		le.PutUint32(dst, pkruDefault)
		kept |= 1 << pkru
	}
	le.PutUint64(out[statesAt:], kept)
	return out, nil
}

// component is the part of an xsave area that has a component; nil without.
func component(area []byte, c *record.Cpu, n int) []byte {
	for _, x := range c.Xsave {
		if end := uint64(x.Offset) + uint64(x.Size); int(x.Number) == n && x.Offset >= legacyBytes+headerBytes && end <= uint64(len(area)) {
			return area[x.Offset:end]
		}
	}
	return nil
}

// FrameState is the part of an xsave area that the kernel takes from a signal
// frame, with the mask of components that may be in it.
func FrameState(area []byte, here *record.Cpu) (part []byte, states uint64) {
	end := uint32(legacyBytes + headerBytes)
	for _, x := range here.Xsave {
		if 1<<x.Number&amx == 0 {
			end = max(end, x.Offset+x.Size)
		}
	}
	return area[:min(int(end), len(area))], here.Xcr0 &^ amx
}
