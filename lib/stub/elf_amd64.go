package stub

import "encoding/binary"

// trapByte fills what must never run: int3.
const trapByte = 0xcc

// The first puppet's program: a static ELF with one read-execute segment.
//
//	  0  Elf64_Ehdr
//	 64  Elf64_Phdr
//	120  again: mov $34, %eax (pause); syscall; jmp again
//	     seed:  syscall; int3
const (
	elfBase   = 0x10000
	elfHeader = 120
	emX86_64  = 62
)

var pauseLoop = []byte{0xb8, 34, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7}

// SpawnELF is a program that does nothing but wait, and the address in it of a
// syscall instruction followed by a trap.
func SpawnELF() (file []byte, seed uint64) {
	code := append([]byte(nil), pauseLoop...)
	seed = elfBase + elfHeader + uint64(len(code))
	code = append(code, 0x0f, 0x05, trapByte)
	b := make([]byte, elfHeader, elfHeader+len(code))
	le := binary.LittleEndian
	copy(b, "\x7fELF\x02\x01\x01")
	le.PutUint16(b[16:], 2) // ET_EXEC
	le.PutUint16(b[18:], emX86_64)
	le.PutUint32(b[20:], 1)
	le.PutUint64(b[24:], elfBase+elfHeader)
	le.PutUint64(b[32:], 64) // e_phoff
	le.PutUint16(b[52:], 64)
	le.PutUint16(b[54:], 56)
	le.PutUint16(b[56:], 1)
	ph := b[64:]
	le.PutUint32(ph, 1)     // PT_LOAD
	le.PutUint32(ph[4:], 5) // r-x
	le.PutUint64(ph[16:], elfBase)
	le.PutUint64(ph[24:], elfBase)
	le.PutUint64(ph[32:], uint64(elfHeader+len(code)))
	le.PutUint64(ph[40:], uint64(elfHeader+len(code)))
	le.PutUint64(ph[48:], PageSize)
	return append(b, code...), seed
}
