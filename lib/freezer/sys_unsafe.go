package freezer

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

func getRobustList(tid int) (head, size uint64, e unix.Errno) {
	_, _, e = unix.Syscall(unix.SYS_GET_ROBUST_LIST, uintptr(tid), uintptr(unsafe.Pointer(&head)), uintptr(unsafe.Pointer(&size)))
	return head, size, e
}

// getAffinity is sched_getaffinity(2) into b; it returns the bytes that the
// kernel filled.
func getAffinity(tid int, b []byte) (int, unix.Errno) {
	n, _, e := unix.Syscall(unix.SYS_SCHED_GETAFFINITY, uintptr(tid), uintptr(len(b)), uintptr(unsafe.Pointer(&b[0])))
	return int(n), e
}
