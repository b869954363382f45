package fds

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"floe/lib/kabi"
)

// getOwner is F_GETOWN_EX.
func getOwner(fd int) (kabi.FOwnerEx, error) {
	var o kabi.FOwnerEx
	_, _, errno := unix.Syscall(unix.SYS_FCNTL, uintptr(fd), unix.F_GETOWN_EX, uintptr(unsafe.Pointer(&o)))
	if errno != 0 {
		return o, errno
	}
	return o, nil
}

// setOwner is F_SETOWN_EX.
func setOwner(fd int, o kabi.FOwnerEx) error {
	_, _, errno := unix.Syscall(unix.SYS_FCNTL, uintptr(fd), unix.F_SETOWN_EX, uintptr(unsafe.Pointer(&o)))
	if errno != 0 {
		return errno
	}
	return nil
}

// setTicks is TFD_IOC_SET_TICKS.
func setTicks(fd int, ticks uint64) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), kabi.TFD_IOC_SET_TICKS, uintptr(unsafe.Pointer(&ticks)))
	if errno != 0 {
		return errno
	}
	return nil
}
