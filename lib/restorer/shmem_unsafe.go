package restorer

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// anonymousObject makes a shared anonymous mapping of size bytes, opens the
// object behind it through map_files, and unmaps it. The descriptor keeps the
// object; nothing of it is resident yet.
func anonymousObject(size uint64) (int, error) {
	if size == 0 || size > 1<<46 {
		return -1, unix.EINVAL
	}
	b, err := unix.Mmap(-1, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return -1, err
	}
	defer func() { _ = unix.Munmap(b) }()
	start := uintptr(unsafe.Pointer(&b[0]))
	end := start + uintptr((size+4095)&^4095)
	return unix.Open(fmt.Sprintf("/proc/self/map_files/%x-%x", start, end), unix.O_RDWR|unix.O_CLOEXEC, 0)
}
