package faults

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// point is one system call of a run: the k-th of its sort by its maker. Threads
// of a Go program run in any order, but this is nearly always the same call.
type point struct {
	who  string // "restore", "task 3", …
	call string // "openat", "ptrace(CONT)", …
	nr   int32
	k    int // from 1
}

func (p point) String() string { return fmt.Sprintf("%s: %s #%d", p.who, p.call, p.k) }

// kind is a point without its number.
func (p point) kind() point { p.k = 0; return p }

var ptraceNames = map[uint64]string{
	unix.PTRACE_SEIZE: "SEIZE", unix.PTRACE_INTERRUPT: "INTERRUPT", unix.PTRACE_CONT: "CONT", unix.PTRACE_SYSCALL: "SYSCALL",
	unix.PTRACE_SINGLESTEP: "SINGLESTEP", unix.PTRACE_DETACH: "DETACH", unix.PTRACE_LISTEN: "LISTEN", unix.PTRACE_SETOPTIONS: "SETOPTIONS",
	unix.PTRACE_GETREGS: "GETREGS", unix.PTRACE_SETREGS: "SETREGS", unix.PTRACE_GETREGSET: "GETREGSET", unix.PTRACE_SETREGSET: "SETREGSET",
	unix.PTRACE_GETSIGMASK: "GETSIGMASK", unix.PTRACE_SETSIGMASK: "SETSIGMASK", unix.PTRACE_GETSIGINFO: "GETSIGINFO",
	unix.PTRACE_SETSIGINFO: "SETSIGINFO", unix.PTRACE_PEEKSIGINFO: "PEEKSIGINFO", 0x420f: "RSEQ", 0x4211: "DISPATCH",
}

// callName is a system call's name, with what it is asked to do where that is
// a call of its own.
func callName(n *notification) string {
	name := callNames()[n.Nr]
	if name == "" {
		name = fmt.Sprintf("call %d", n.Nr)
	}
	switch n.Nr {
	case unix.SYS_PTRACE:
		if op := ptraceNames[n.Args[0]]; op != "" {
			return name + "(" + op + ")"
		}
		return fmt.Sprintf("%s(%#x)", name, n.Args[0])
	case unix.SYS_PRCTL, unix.SYS_ARCH_PRCTL:
		return fmt.Sprintf("%s(%d)", name, n.Args[0])
	case unix.SYS_FCNTL, unix.SYS_IOCTL:
		return fmt.Sprintf("%s(%#x)", name, n.Args[1])
	}
	return name
}

// Calls that can say more than ENOMEM and EPERM.
var (
	opens = []int32{unix.SYS_OPEN, unix.SYS_OPENAT, unix.SYS_OPENAT2, unix.SYS_DUP, unix.SYS_DUP2, unix.SYS_DUP3, unix.SYS_PIPE, unix.SYS_PIPE2,
		unix.SYS_SOCKET, unix.SYS_SOCKETPAIR, unix.SYS_EVENTFD2, unix.SYS_EPOLL_CREATE1, unix.SYS_TIMERFD_CREATE, unix.SYS_SIGNALFD4,
		unix.SYS_MEMFD_CREATE, unix.SYS_PIDFD_OPEN, unix.SYS_PIDFD_GETFD, unix.SYS_FCNTL, unix.SYS_RECVMSG}
	writes = []int32{unix.SYS_WRITE, unix.SYS_PWRITE64, unix.SYS_WRITEV, unix.SYS_PWRITEV, unix.SYS_FALLOCATE, unix.SYS_FTRUNCATE,
		unix.SYS_FSYNC, unix.SYS_FDATASYNC, unix.SYS_COPY_FILE_RANGE, unix.SYS_SENDFILE, unix.SYS_SPLICE, unix.SYS_TEE, unix.SYS_RENAME, unix.SYS_RENAMEAT2}
	waits = []int32{unix.SYS_OPEN, unix.SYS_OPENAT, unix.SYS_READ, unix.SYS_PREAD64, unix.SYS_PREADV, unix.SYS_READV, unix.SYS_WRITE, unix.SYS_PWRITE64,
		unix.SYS_WRITEV, unix.SYS_WAIT4, unix.SYS_WAITID, unix.SYS_POLL, unix.SYS_PPOLL, unix.SYS_EPOLL_WAIT, unix.SYS_EPOLL_PWAIT, unix.SYS_SENDMSG,
		unix.SYS_RECVMSG, unix.SYS_SENDTO, unix.SYS_RECVFROM, unix.SYS_FALLOCATE, unix.SYS_FTRUNCATE, unix.SYS_FLOCK, unix.SYS_DUP3,
		unix.SYS_GETRANDOM, unix.SYS_FSYNC, unix.SYS_CLONE3, unix.SYS_CLONE, unix.SYS_SELECT, unix.SYS_SPLICE}
	makes = []int32{unix.SYS_CLONE, unix.SYS_CLONE3, unix.SYS_FORK, unix.SYS_VFORK, unix.SYS_MMAP, unix.SYS_MLOCK, unix.SYS_TIMER_CREATE, unix.SYS_RT_SIGQUEUEINFO, unix.SYS_RT_TGSIGQUEUEINFO}
)

// errors of a call that are tried. A close(2) that fails has closed all the same,
// which an answer in its place does not.
func (p point) errors() []unix.Errno {
	if p.nr == unix.SYS_CLOSE {
		return nil
	}
	e := []unix.Errno{unix.ENOMEM, unix.EPERM}
	for _, more := range []struct {
		calls []int32
		errno unix.Errno
	}{{opens, unix.EMFILE}, {writes, unix.ENOSPC}, {waits, unix.EINTR}, {makes, unix.EAGAIN}} {
		if slices.Contains(more.calls, p.nr) {
			e = append(e, more.errno)
		}
	}
	return e
}

// killed stands for SIGKILL in the place of an error.
const killed unix.Errno = 0

// fault is what happens at a point.
type fault struct {
	point
	errno unix.Errno
}

func (f fault) String() string {
	if f.errno == killed {
		return f.point.String() + ", SIGKILL"
	}
	return f.point.String() + ", " + unix.ErrnoName(f.errno)
}
