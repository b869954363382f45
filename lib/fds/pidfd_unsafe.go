package fds

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// cloneArgs is struct clone_args, its first version: include/uapi/linux/sched.h.
type cloneArgs struct{ flags, pidfd, childTID, parentTID, exitSignal, stack, stackSize, tls uint64 }

// cloneClearSigHand is CLONE_CLEAR_SIGHAND (Linux 5.5).
const cloneClearSigHand = 0x100000000

// forkToEnd forks a child that ends at once, with a status that no core belongs to.
// It sends no signal when it ends, and is waited for with __WALL.
func forkToEnd(ws unix.WaitStatus) (int, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all, none, before unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^uint64(0)
	}
	// Until the child has the handlers of no Go program it must not get a signal.
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &all, &before); err != nil {
		return 0, err
	}
	pid, errno := forkAndEnd(&cloneArgs{flags: cloneClearSigHand}, uintptr(ws), &none)
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil); err != nil {
		return 0, err
	}
	if errno != 0 {
		return 0, errno
	}
	// Until it has ended it has all that this process has open: ends of pipes too.
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT|unix.WALL, nil)
		if err != unix.EINTR {
			return pid, err
		}
	}
}

// forkAndEnd is the part that the child runs too: system calls, and nothing that
// needs the runtime, of which it has one thread.
//
//go:norace
//go:noinline
func forkAndEnd(args *cloneArgs, status uintptr, none *unix.Sigset_t) (int, unix.Errno) {
	pid, _, errno := unix.RawSyscall(unix.SYS_CLONE3, uintptr(unsafe.Pointer(args)), unsafe.Sizeof(*args), 0)
	if errno != 0 || pid != 0 {
		return int(pid), errno
	}
	if sig := status & 0x7f; sig != 0 {
		const sigsetBytes = 8
		unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 0, 0) // no core
		unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(none)), 0, sigsetBytes, 0, 0)
		self, _, _ := unix.RawSyscall(unix.SYS_GETPID, 0, 0, 0)
		unix.RawSyscall(unix.SYS_KILL, self, sig, 0)
	}
	for {
		unix.RawSyscall(unix.SYS_EXIT_GROUP, status>>8&0xff, 0, 0)
	}
}
