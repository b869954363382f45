package fds

import (
	"debug/elf"
	"encoding/binary"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Bounds on an ELF file's notes, bytes.
const (
	maxNotes   = 64 << 10
	maxBuildID = 64
)

// buildID is the GNU build-id of the ELF file behind a descriptor; nil when it
// has none.
func buildID(handle int) []byte {
	fd, err := reopen(handle, unix.O_RDONLY)
	if err != nil {
		return nil
	}
	f := os.NewFile(uintptr(fd), "elf")
	defer f.Close()
	e, err := elf.NewFile(f)
	if err != nil {
		return nil
	}
	for _, p := range e.Progs {
		if p.Type != elf.PT_NOTE || p.Filesz > maxNotes {
			continue
		}
		b := make([]byte, p.Filesz)
		if _, err := io.ReadFull(p.Open(), b); err != nil {
			continue
		}
		if id := buildIDNote(b, e.ByteOrder); id != nil {
			return id
		}
	}
	return nil
}

// buildIDNote finds the build-id among ELF notes.
func buildIDNote(b []byte, order binary.ByteOrder) []byte {
	const header, typeBuildID = 12, 3
	for len(b) >= header {
		nameLen, descLen, typ := uint64(order.Uint32(b)), uint64(order.Uint32(b[4:])), order.Uint32(b[8:])
		desc := header + (nameLen+3)&^3
		end := desc + (descLen+3)&^3
		if desc+descLen > uint64(len(b)) {
			return nil
		}
		if typ == typeBuildID && string(b[header:header+nameLen]) == "GNU\x00" && descLen <= maxBuildID {
			return append([]byte(nil), b[desc:desc+descLen]...)
		}
		b = b[min(end, uint64(len(b))):]
	}
	return nil
}
