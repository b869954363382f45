package vdso

import "unsafe"

// call calls a C function at an address, one of a vDSO. What a pointer among
// the arguments points to must not be on the stack, which may move before.
func call(fn, a, b, c uintptr, d unsafe.Pointer, e uintptr) uintptr

// randomParams is struct vgetrandom_opaque_params of include/uapi/linux/random.h.
type randomParams struct {
	stateSize uint32
	mmapProt  uint32
	mmapFlags uint32
	_         [13]uint32
}

// askRandom asks the getrandom at an address for the size of its states: the
// length of state -1 stands for the question. 0 without an answer.
func askRandom(fn uint64) uint32 {
	p := new(randomParams) // on the heap: call lets it escape
	if call(uintptr(fn), 0, 0, 0, unsafe.Pointer(p), ^uintptr(0)) != 0 {
		return 0
	}
	return p.stateSize
}
