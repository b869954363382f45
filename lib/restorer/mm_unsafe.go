package restorer

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// mmMapSize asks for the size of what PR_SET_MM_MAP takes. Only a kernel that has
// it tells.
func mmMapSize() error {
	var size uint32
	return unix.Prctl(unix.PR_SET_MM, unix.PR_SET_MM_MAP_SIZE, uintptr(unsafe.Pointer(&size)), 0, 0)
}
