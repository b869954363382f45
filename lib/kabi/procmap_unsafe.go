package kabi

import (
	"bytes"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// procmapQuery is struct procmap_query, include/uapi/linux/fs.h (6.11).
type procmapQuery struct {
	Size        uint64
	QueryFlags  uint64
	QueryAddr   uint64
	VmaStart    uint64
	VmaEnd      uint64
	VmaFlags    uint64
	VmaPageSize uint64
	VmaOffset   uint64
	Inode       uint64
	DevMajor    uint32
	DevMinor    uint32
	VmaNameSize uint32
	BuildIDSize uint32
	VmaNameAddr unsafe.Pointer
	BuildIDAddr uint64
}

// procmapIoctl is PROCMAP_QUERY, _IOWR('f', 17, struct procmap_query).
const procmapIoctl = 0xc0686611

// Procmap is one mapping, as PROCMAP_QUERY tells it.
type Procmap struct {
	Start, End uint64
	Name       string // "[vdso]", a path, or nothing
}

// ProcmapQuery asks a /proc/PID/maps file for the mapping that covers addr.
// ENOENT: nothing does. ENOTTY: the kernel is older than 6.11.
func ProcmapQuery(maps *os.File, addr uint64) (Procmap, error) {
	var name [unix.PathMax]byte
	q := procmapQuery{QueryAddr: addr, VmaNameSize: uint32(len(name)), VmaNameAddr: unsafe.Pointer(&name[0])}
	q.Size = uint64(unsafe.Sizeof(q))
	_, _, e := unix.Syscall(unix.SYS_IOCTL, maps.Fd(), procmapIoctl, uintptr(unsafe.Pointer(&q)))
	if e != 0 {
		return Procmap{}, e
	}
	text, _, _ := bytes.Cut(name[:min(int(q.VmaNameSize), len(name))], []byte{0})
	return Procmap{Start: q.VmaStart, End: q.VmaEnd, Name: string(text)}, nil
}
