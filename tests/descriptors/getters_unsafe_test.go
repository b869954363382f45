package descriptors

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// request is fcntl(2) or ioctl(2), with memory for the answer.
func request(fd int, ioctl bool, how uint, arg []byte) (int, unix.Errno) {
	nr, p := uintptr(unix.SYS_FCNTL), unsafe.Pointer(nil)
	if ioctl {
		nr = unix.SYS_IOCTL
	}
	if len(arg) > 0 {
		p = unsafe.Pointer(&arg[0])
	}
	n, _, errno := unix.Syscall(nr, uintptr(fd), uintptr(how), uintptr(p))
	return int(n), errno
}
