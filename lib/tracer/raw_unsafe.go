package tracer

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// ptrace is the bare system call, for requests whose data is a number.
func ptrace(request int, tid TID, addr, data uintptr) error {
	_, _, e := unix.Syscall6(unix.SYS_PTRACE, uintptr(request), uintptr(tid), addr, data, 0, 0)
	if e != 0 {
		return e
	}
	return nil
}

// ptraceBuf is for requests whose data points to b.
func ptraceBuf(request int, tid TID, addr uintptr, b []byte) (int, error) {
	n, _, e := unix.Syscall6(unix.SYS_PTRACE, uintptr(request), uintptr(tid), addr, uintptr(unsafe.Pointer(&b[0])), 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

// ptraceRegset is PTRACE_GETREGSET or SETREGSET of the note type nt; it
// returns how many bytes of b the kernel used.
func ptraceRegset(request int, tid TID, nt int, b []byte) (int, error) {
	iov := unix.Iovec{Base: &b[0]}
	iov.SetLen(len(b))
	_, _, e := unix.Syscall6(unix.SYS_PTRACE, uintptr(request), uintptr(tid), uintptr(nt), uintptr(unsafe.Pointer(&iov)), 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(iov.Len), nil
}

// ptracePeekSigInfo is PTRACE_PEEKSIGINFO: n siginfos from off into b.
func ptracePeekSigInfo(tid TID, off uint64, flags, n uint32, b []byte) (int, error) {
	args := struct {
		off   uint64
		flags uint32
		nr    int32
	}{off, flags, int32(n)}
	got, _, e := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_PEEKSIGINFO, uintptr(tid), uintptr(unsafe.Pointer(&args)), uintptr(unsafe.Pointer(&b[0])), 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(got), nil
}

// ignore is rt_sigaction(2) with SIG_IGN, past Go's runtime, which has no way to
// ignore a signal that stands for a fault.
func ignore(sig unix.Signal) error {
	const sigIgn = 1
	action := struct{ handler, flags, restorer, mask uint64 }{handler: sigIgn}
	_, _, e := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&action)), 0, sigSetSize, 0, 0)
	if e != 0 {
		return e
	}
	return nil
}
