package kabi

import (
	"encoding/binary"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// hasSetMM asks for the size of struct prctl_mm_map.
func hasSetMM() bool {
	const prSetMMMapSize = 15 // <linux/prctl.h>
	var size uint32
	return unix.Prctl(unix.PR_SET_MM, prSetMMMapSize, uintptr(unsafe.Pointer(&size)), 0, 0) == nil
}

// hasScan scans nothing.
func hasScan() bool {
	f, err := os.Open("/proc/self/pagemap")
	if err != nil {
		return false
	}
	defer f.Close()
	arg := PmScanArg{ReturnMask: PAGE_IS_PRESENT}
	arg.Size = uint64(unsafe.Sizeof(arg))
	_, _, e := unix.Syscall(unix.SYS_IOCTL, f.Fd(), PAGEMAP_SCAN, uintptr(unsafe.Pointer(&arg)))
	return e != unix.ENOTTY
}

// hasProcmapQuery asks for a mapping of this program's own.
func hasProcmapQuery() bool {
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return false
	}
	defer f.Close()
	var here byte
	_, err = ProcmapQuery(f, uint64(uintptr(unsafe.Pointer(&here))))
	return err == nil
}

// guardBits is 1 where guard regions can be made, 2 where they are seen too.
func guardBits() int {
	b, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ, unix.MAP_ANONYMOUS|unix.MAP_PRIVATE)
	if err != nil {
		return 0
	}
	defer func() { _ = unix.Munmap(b) }()
	if unix.Madvise(b, unix.MADV_GUARD_INSTALL) != nil {
		return 0
	}
	f, err := os.Open("/proc/self/pagemap")
	if err != nil {
		return 1
	}
	defer f.Close()
	var entry [8]byte
	page := uintptr(unsafe.Pointer(&b[0])) / uintptr(os.Getpagesize())
	if _, err := f.ReadAt(entry[:], int64(page)*8); err == nil && binary.NativeEndian.Uint64(entry[:])&PM_GUARD_REGION != 0 {
		return 2
	}
	return 1
}
