package taskiter

import (
	"encoding/binary"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// progLoad is the part of union bpf_attr that BPF_PROG_LOAD takes, <linux/bpf.h>.
type progLoad struct {
	Type, InsnCnt         uint32
	Insns, License        unsafe.Pointer
	LogLevel, LogSize     uint32
	LogBuf                unsafe.Pointer
	KernVersion, Flags    uint32
	Name                  [16]byte
	Ifindex, AttachType   uint32
	BTFFD, FuncInfoSize   uint32
	FuncInfo              uint64
	FuncInfoCnt, LineRec  uint32
	LineInfo              uint64
	LineInfoCnt, AttachTo uint32
	AttachProgFD, _       uint32
}

const sizeInsn = 8

// load has the kernel verify a program for the iterator whose function has type
// attach.
func load(insns []byte, attach uint32) (int, error) {
	license := []byte("GPL\x00") // what the helpers that read the kernel's memory ask for
	a := progLoad{Type: unix.BPF_PROG_TYPE_TRACING, InsnCnt: uint32(len(insns) / sizeInsn), Insns: unsafe.Pointer(&insns[0]),
		License: unsafe.Pointer(&license[0]), AttachType: unix.BPF_TRACE_ITER, AttachTo: attach}
	copy(a.Name[:], "floe_tasks")
	fd, err := bpf(unix.BPF_PROG_LOAD, unsafe.Pointer(&a), unsafe.Sizeof(a))
	runtime.KeepAlive(insns)
	runtime.KeepAlive(license)
	return fd, err
}

// linkCreate is the part of union bpf_attr that BPF_LINK_CREATE takes for an iterator,
// taskInfo its union bpf_iter_link_info: of one process (since 6.1; before, the kernel
// passes over it).
type (
	linkCreate struct {
		Prog, Target, AttachType, Flags uint32
		Info                            unsafe.Pointer
		InfoLen, _                      uint32
	}
	taskInfo struct{ TID, PID, PIDFD, _ uint32 }
)

// open begins an iteration over a process's threads with a loaded program: a file to
// read.
func open(prog, pid int) (*os.File, error) {
	info := taskInfo{PID: uint32(pid)}
	a := linkCreate{Prog: uint32(prog), AttachType: unix.BPF_TRACE_ITER, Info: unsafe.Pointer(&info), InfoLen: uint32(unsafe.Sizeof(info))}
	link, err := bpf(unix.BPF_LINK_CREATE, unsafe.Pointer(&a), unsafe.Sizeof(a))
	if err != nil {
		return nil, err
	}
	defer unix.Close(link)
	var b [8]byte // link_fd, flags
	binary.LittleEndian.PutUint32(b[:], uint32(link))
	fd, err := bpf(unix.BPF_ITER_CREATE, unsafe.Pointer(&b), unsafe.Sizeof(b))
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "bpf_iter_task"), nil
}

func bpf(cmd int, attr unsafe.Pointer, size uintptr) (int, error) {
	fd, _, e := unix.Syscall(unix.SYS_BPF, uintptr(cmd), uintptr(attr), size)
	if e != 0 {
		return -1, e
	}
	return int(fd), nil
}
