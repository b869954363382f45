package procfs

import (
	"encoding/binary"
	"fmt"
	"math"
)

// auxEntry is the size of a 64-bit process's auxiliary vector entries, bytes.
const auxEntry = 16

// ParseAuxv checks the contents of an auxv file of a 64-bit process and cuts
// what follows its AT_NULL entry: /proc gives the whole array that the kernel
// keeps. A vector without AT_NULL, or with half an entry, is an error; so is
// none at all.
func ParseAuxv(b []byte) ([]byte, error) {
	for i := 0; i+auxEntry <= len(b); i += auxEntry {
		switch key := binary.NativeEndian.Uint64(b[i:]); {
		case key == 0:
			return b[:i+auxEntry], nil
		case key > math.MaxUint32: // a 32-bit process's entries are half as large
			return nil, fmt.Errorf("auxv: key %#x", key)
		}
	}
	return nil, fmt.Errorf("auxv: no end in %d bytes", len(b))
}

// ReadAuxv reads a process's auxiliary vector, up to its AT_NULL entry.
func ReadAuxv(pid int) ([]byte, error) {
	b, err := read(pid, "auxv")
	if err != nil {
		return nil, err
	}
	if b, err = ParseAuxv(b); err != nil {
		return nil, fmt.Errorf("/proc/%d/%w", pid, err)
	}
	return b, nil
}
