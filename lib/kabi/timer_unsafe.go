package kabi

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sigevent is struct sigevent. include/uapi/asm-generic/siginfo.h
type sigevent struct {
	Value  uint64
	Signo  int32
	Notify int32 // SIGEV_SIGNAL is 0
	_      [48]byte
}

// itimerspec is struct itimerspec. include/uapi/linux/time.h
type itimerspec struct{ Interval, Value unix.Timespec }

// SignalEvery has the kernel send a signal to this process every so often, also
// while the process is stopped. timer_create(2)
func SignalEvery(s unix.Signal, every time.Duration) error {
	var id int32
	event := sigevent{Signo: int32(s)}
	if _, _, e := unix.Syscall(unix.SYS_TIMER_CREATE, unix.CLOCK_MONOTONIC, uintptr(unsafe.Pointer(&event)), uintptr(unsafe.Pointer(&id))); e != 0 {
		return e
	}
	period := unix.NsecToTimespec(int64(every))
	spec := itimerspec{period, period}
	if _, _, e := unix.Syscall6(unix.SYS_TIMER_SETTIME, uintptr(id), 0, uintptr(unsafe.Pointer(&spec)), 0, 0, 0); e != 0 {
		return e
	}
	return nil
}
