package vdso

import "slices"

// trap is the instruction int3.
const trap = 0xcc

// padding tells the bytes that stand between functions: nop and int3.
func padding(b byte) bool { return b == 0x90 || b == trap }

// jump leads from one address to another and changes no register: five bytes
// when the distance has 32 bits, or fourteen.
func jump(from, to uint64) []byte {
	const short = 5
	distance := int64(to - from - short)
	if distance == int64(int32(distance)) && from != 0 {
		return le.AppendUint32([]byte{0xe9}, uint32(distance)) // jmp to
	}
	return le.AppendUint64([]byte{0xff, 0x25, 0, 0, 0, 0}, to) // jmp *0(%rip)
}

// bySyscall makes a system call of up to three arguments, which stand in the
// same registers as a function's, and returns its result or minus an errno, as
// the functions of a vDSO do.
func bySyscall(nr uint32) []byte {
	return append(le.AppendUint32([]byte{0xb8}, nr), // mov $nr, %eax
		0x0f, 0x05, // syscall
		0xc3) // ret
}

// noState answers getrandom's question for the size of a state (length of state
// -1) with -ENOSYS, so that its caller makes system calls from then on.
var noState = []byte{
	0x49, 0x83, 0xf8, 0xff, // cmp $-1, %r8
	0x75, 0x08, // jne over
	0x48, 0xc7, 0xc0, 0xda, 0xff, 0xff, 0xff, // mov $-ENOSYS, %rax
	0xc3, // ret
	// over:
}

// randomBySyscall is getrandom where the kernel's vDSO has none.
func randomBySyscall(nr uint32) []byte { return slices.Concat(noState, bySyscall(nr)) }

// randomBySize is getrandom where the states of the two vDSOs have other sizes:
// the kernel's takes states of its own size, which the process may have from a
// kernel like this one; others make the system call. It never learns another
// size than that of the image's: it may return to that kernel.
func randomBySize(at, to uint64, size, nr uint32) []byte {
	if size == 0 {
		return randomBySyscall(nr)
	}
	b := slices.Concat(noState, le.AppendUint32([]byte{0x49, 0x81, 0xf8}, size), // cmp $size, %r8
		[]byte{0x75, 0}) // jne call
	hole := len(b) - 1
	if at != 0 {
		at += uint64(len(b))
	}
	j := jump(at, to)
	b[hole] = byte(len(j))
	return slices.Concat(b, j, bySyscall(nr)) // call:
}
