package vdso

// plain tells whether a function is code that needs nothing but its arguments,
// such as an atomic operation: it may stay where a kernel has no other. It is
// plain when nothing in it can be an operand relative to the instruction pointer
// that lies outside of the code area, where the kernel's data is, and no jump or
// call leaves it. Every byte counts as one that may begin an operand, so that no
// decoder is needed: what is not plain is always found out.
func plain(im *Image, s Symbol) bool {
	if im.Machine != MachineX86_64 || s.Size == 0 {
		return false
	}
	const (
		modRM, relative = 0xc7, 0x05 // mod 00, r/m 101: a distance of four bytes follows
		mostImmediate   = 4          // between the distance and the next instruction
	)
	code, size := im.code[s.Offset:s.Offset+s.Size], int64(len(im.code))
	for i := 1; i+4 <= len(code); i++ {
		target := int64(s.Offset) + int64(i) + 4 + int64(int32(le.Uint32(code[i:])))
		if code[i-1]&modRM == relative && (target < 0 || target+mostImmediate > size) {
			return false
		}
		inArea := target >= 0 && target < size // beyond it, there is no code to jump to
		if leaves(code[:i]) && inArea && (target < int64(s.Offset) || target > int64(s.Offset+s.Size)) {
			return false
		}
	}
	return true
}

// leaves tells whether the bytes before a distance can be those of a call or a
// jump: call, jmp, and the conditional jumps of two bytes.
func leaves(before []byte) bool {
	last := before[len(before)-1]
	if last == 0xe8 || last == 0xe9 {
		return true
	}
	return len(before) > 1 && before[len(before)-2] == 0x0f && last&0xf0 == 0x80
}
