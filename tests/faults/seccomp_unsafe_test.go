package faults

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// notification is struct seccomp_notif of <linux/seccomp.h>.
type notification struct {
	ID    uint64
	TID   uint32
	Flags uint32
	Nr    int32
	Arch  uint32
	IP    uint64
	Args  [6]uint64
}

// answer is struct seccomp_notif_resp.
type answer struct {
	ID    uint64
	Value int64
	Error int32
	Flags uint32
}

func receive(listener int, n *notification) error {
	*n = notification{}
	return notifIoctl(listener, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(n))
}

func send(listener int, a *answer) error {
	return notifIoctl(listener, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(a))
}

func notifIoctl(fd int, request uint, arg unsafe.Pointer) error {
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(arg)); e != 0 {
		return e
	}
	return nil
}
