package main

import (
	"encoding/binary"
	"strconv"

	"floe/lib/procfs"
)

// auxv asks a process's auxiliary vector where the kernel put its vDSO; pid 0
// is this process.
func auxv(pid int) (ehdr uint64, ok bool) {
	const atSysinfoEhdr, entry = 33, 16
	name := "self"
	if pid != 0 {
		name = strconv.Itoa(pid)
	}
	b, err := procfs.ReadFile("/proc/" + name + "/auxv")
	if err != nil {
		return 0, false
	}
	for ; len(b) >= entry; b = b[entry:] {
		if binary.NativeEndian.Uint64(b) == atSysinfoEhdr {
			return binary.NativeEndian.Uint64(b[8:]), true
		}
	}
	return 0, false
}
