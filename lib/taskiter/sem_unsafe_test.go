package taskiter

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// raise adds 1 to the first semaphore of a set, to be undone.
func raise(id uintptr) error {
	const semUndo = 0x1000
	op := struct {
		num       uint16
		op, flags int16
	}{0, 1, semUndo}
	if _, _, e := unix.Syscall(unix.SYS_SEMOP, id, uintptr(unsafe.Pointer(&op)), 1); e != 0 {
		return e
	}
	return nil
}
