package fds

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"floe/lib/kabi"
)

// fcntl is fcntl(2) with a pointer to what the command reads or writes.
func fcntl[T any](fd, command int, arg *T) error {
	_, _, errno := unix.Syscall(unix.SYS_FCNTL, uintptr(fd), uintptr(command), uintptr(unsafe.Pointer(arg)))
	if errno != 0 {
		return errno
	}
	return nil
}

// ioctl is ioctl(2) with a pointer to what the request reads or writes.
func ioctl[T any](fd int, request uint, arg *T) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(unsafe.Pointer(arg)))
	if errno != 0 {
		return errno
	}
	return nil
}

// getOwner is F_GETOWN_EX.
func getOwner(fd int) (o kabi.FOwnerEx, err error) {
	err = fcntl(fd, unix.F_GETOWN_EX, &o)
	return o, err
}

// setOwner is F_SETOWN_EX.
func setOwner(fd int, o kabi.FOwnerEx) error { return fcntl(fd, unix.F_SETOWN_EX, &o) }
