package taskiter

import (
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// blocked is a signal that makeTimer blocks in the calling thread, which then has the
// timer's signals pending.
const blocked = 40

func makeTimer(t *testing.T, clock uintptr) int32 {
	const threadID = 4 // SIGEV_THREAD_ID
	set := unix.Sigset_t{}
	set.Val[0] = 1 << (blocked - 1)
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &set, nil); err != nil {
		t.Fatal(err)
	}
	event := struct {
		value              uint64
		signo, notify, tid int32
		_                  [44]byte
	}{signo: blocked, notify: threadID, tid: int32(unix.Gettid())}
	var id int32
	if _, _, e := unix.Syscall(unix.SYS_TIMER_CREATE, clock, uintptr(unsafe.Pointer(&event)), uintptr(unsafe.Pointer(&id))); e != 0 {
		t.Fatal(e)
	}
	return id
}

func setTimer(t *testing.T, id int32, value, interval time.Duration) {
	spec := [2]unix.Timespec{unix.NsecToTimespec(int64(interval)), unix.NsecToTimespec(int64(value))}
	if _, _, e := unix.Syscall6(unix.SYS_TIMER_SETTIME, uintptr(id), 0, uintptr(unsafe.Pointer(&spec)), 0, 0, 0); e != 0 {
		t.Fatal(e)
	}
}

func getTimer(t *testing.T, id int32) {
	var spec [2]unix.Timespec
	if _, _, e := unix.Syscall(unix.SYS_TIMER_GETTIME, uintptr(id), uintptr(unsafe.Pointer(&spec)), 0); e != 0 {
		t.Fatal(e)
	}
}

func deleteTimers(ids []int32) {
	for _, id := range ids {
		unix.Syscall(unix.SYS_TIMER_DELETE, uintptr(id), 0, 0)
	}
}
