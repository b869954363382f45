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

// getOwnerUIDs is F_GETOWNER_UIDS: the real and the effective user that set the
// owner.
func getOwnerUIDs(fd int) (ids [2]uint32, err error) {
	_, _, errno := unix.Syscall(unix.SYS_FCNTL, uintptr(fd), kabi.F_GETOWNER_UIDS, uintptr(unsafe.Pointer(&ids)))
	if errno != 0 {
		return ids, errno
	}
	return ids, nil
}

// hint is F_GET_RW_HINT, F_SET_RW_HINT or F_GET_FILE_RW_HINT.
func hint(fd, how int, value *uint64) error {
	_, _, errno := unix.Syscall(unix.SYS_FCNTL, uintptr(fd), uintptr(how), uintptr(unsafe.Pointer(value)))
	if errno != 0 {
		return errno
	}
	return nil
}

// epollParams is EPIOCGPARAMS or EPIOCSPARAMS.
func epollParams(fd int, request uint, p *kabi.EpollParams) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(unsafe.Pointer(p)))
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
