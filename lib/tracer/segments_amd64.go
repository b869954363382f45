package tracer

import (
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"
)

const (
	getThreadArea = 25    // PTRACE_GET_THREAD_AREA, <asm/ptrace-abi.h>
	ntIOPerm      = 0x201 // NT_386_IOPERM, <linux/elf.h>
	firstArea     = 12    // GDT_ENTRY_TLS_MIN, <asm/segment.h>
	lastArea      = 14
	userDescSize  = 16
)

// ThreadAreas tells whether a stopped task has made a segment of its own with
// set_thread_area(2).
func (p *Ptrace) ThreadAreas(tid TID) (bool, error) {
	for i := firstArea; i <= lastArea; i++ {
		var b [userDescSize]byte
		if _, err := ptraceBuf(getThreadArea, tid, uintptr(i), b[:]); err != nil {
			return false, wrap("get thread area", tid, err)
		}
		// An empty one is "read or execute only, not present".
		const base, limit, flags, empty = 4, 8, 12, 1<<3 | 1<<5
		le := binary.LittleEndian
		if le.Uint32(b[base:]) != 0 || le.Uint32(b[limit:]) != 0 || le.Uint32(b[flags:])&0x7f != empty {
			return true, nil
		}
	}
	return false, nil
}

// Ports tells whether a stopped task has opened I/O ports with ioperm(2).
func (p *Ptrace) Ports(tid TID) (bool, error) {
	if p.xstate == nil {
		p.xstate = make([]byte, MaxXState)
	}
	_, err := ptraceRegset(unix.PTRACE_GETREGSET, tid, ntIOPerm, p.xstate)
	if errors.Is(err, unix.ENXIO) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EINVAL) {
		return false, nil // none; or a kernel without the call
	}
	return err == nil, wrap("getregset ioperm", tid, err)
}
