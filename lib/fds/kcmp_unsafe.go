package fds

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"floe/lib/kabi"
)

// Results of kcmp(2): the order of two kernel objects, the same all the time
// that they live.
const (
	kcmpSame    = 0
	kcmpLess    = 1
	kcmpGreater = 2
)

func kcmp(pid1, pid2 int32, what int, a, b uintptr) (int, error) {
	r, _, errno := unix.Syscall6(unix.SYS_KCMP, uintptr(pid1), uintptr(pid2), uintptr(what), a, b, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(r), nil
}

// kcmpEpoll compares descriptor fd of a task with an entry of an epoll of
// another.
func kcmpEpoll(pid, fd, epollPid int32, slot kabi.KcmpEpollSlot) (int, error) {
	r, _, errno := unix.Syscall6(unix.SYS_KCMP, uintptr(pid), uintptr(epollPid), kabi.KCMP_EPOLL_TFD,
		uintptr(fd), uintptr(unsafe.Pointer(&slot)), 0)
	if errno != 0 {
		return 0, errno
	}
	return int(r), nil
}
