package tracer

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"floe/lib/procfs"
)

// ReadMem fills b from a task's memory at addr; the task's protection counts
// (process_vm_readv). A short read is an error.
func ReadMem(tid TID, addr Addr, b []byte) error {
	return vmCopy("read", unix.ProcessVMReadv, tid, addr, b)
}

// WriteMem writes b to a task's memory at addr; the task's protection counts
// (process_vm_writev). A short write is an error.
func WriteMem(tid TID, addr Addr, b []byte) error {
	return vmCopy("write", unix.ProcessVMWritev, tid, addr, b)
}

func vmCopy(verb string, copy func(int, []unix.Iovec, []unix.RemoteIovec, uint) (int, error), tid TID, addr Addr, b []byte) error {
	for len(b) > 0 {
		local := unix.Iovec{Base: &b[0]}
		local.SetLen(len(b))
		n, err := copy(int(tid), []unix.Iovec{local}, []unix.RemoteIovec{{Base: uintptr(addr), Len: len(b)}}, 0)
		if err != nil {
			return wrap(fmt.Sprintf("%s of %d bytes at %#x", verb, len(b), uint64(addr)), tid, err)
		}
		if n == 0 {
			return wrap(fmt.Sprintf("%s at %#x", verb, uint64(addr)), tid, io.ErrUnexpectedEOF)
		}
		b, addr = b[n:], addr+Addr(n)
	}
	return nil
}

// Mem is a task's memory as a debugger sees it: reads and writes go through
// whatever the protection says, and a write to a private mapping of a file or
// to the vDSO makes the page the task's own (/proc/PID/mem, FOLL_FORCE).
type Mem struct {
	f   *os.File
	tid TID
}

// OpenMem opens the memory of a task. It stays that address space, even after
// an execve.
func OpenMem(tid TID) (*Mem, error) {
	f, err := procfs.Open(fmt.Sprintf("/proc/%d/mem", tid), unix.O_RDWR)
	if err != nil {
		return nil, fmt.Errorf("task %d: %w", tid, err)
	}
	return &Mem{f, tid}, nil
}

// Read fills b from addr.
func (m *Mem) Read(addr Addr, b []byte) error {
	if _, err := m.f.ReadAt(b, int64(addr)); err != nil {
		return fmt.Errorf("task %d: read of %d bytes at %#x: %w", m.tid, len(b), uint64(addr), err)
	}
	return nil
}

// Write writes b to addr.
func (m *Mem) Write(addr Addr, b []byte) error {
	if _, err := m.f.WriteAt(b, int64(addr)); err != nil {
		return fmt.Errorf("task %d: write of %d bytes at %#x: %w", m.tid, len(b), uint64(addr), err)
	}
	return nil
}

// Close closes the handle.
func (m *Mem) Close() error { return m.f.Close() }
