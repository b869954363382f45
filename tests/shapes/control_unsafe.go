package shapes

import (
	"fmt"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The layout that victim/control.h gives to the file that all tasks map.
const (
	slots      = 48
	handles    = 64
	textSize   = 24 << 10
	arenaPages = 512
	firstFD    = 10
	lastFD     = 42

	arena       = 0x200000000
	hugeArena   = 0x240000000
	controlAddr = 0x300000000
)

type controlOp struct {
	code, _ uint32
	arg     [6]int64
	result  int64
}

type controlSlot struct {
	turn, done uint32
	up         uint32
	tid, tgid  uint32
	blocked    uint32
	leader     uint32
	length     uint32
	op         controlOp
	handled    [65]uint32
	timers     uint32
	timer      [handles]int64
	text       [textSize]byte
}

// control is the mapped file.
type control struct {
	bell, _ uint32
	dir     [120]byte
	slot    [slots]controlSlot
}

// mapControl makes the file anew and maps it.
func mapControl(path, dir string) (*control, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size := int(unsafe.Sizeof(control{}))
	if err := f.Truncate(int64(size)); err != nil {
		return nil, err
	}
	if err := f.Chmod(0o666); err != nil {
		return nil, err
	}
	b, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	c := (*control)(unsafe.Pointer(&b[0]))
	if copy(c.dir[:len(c.dir)-1], dir) < len(dir) {
		return nil, fmt.Errorf("%s: too long a path", dir)
	}
	return c, nil
}

func (c *control) unmap() error {
	return unix.Munmap(unsafe.Slice((*byte)(unsafe.Pointer(c)), unsafe.Sizeof(*c)))
}

// linux/futex.h
const futexWait, futexWake = 0, 1

func wake(word *uint32) {
	const all = 1 << 30
	_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWake, all, 0, 0, 0)
}

// await waits until the bell rings, and no longer than d.
func (c *control) await(bell uint32, d time.Duration) {
	t := unix.NsecToTimespec(d.Nanoseconds())
	_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&c.bell)), futexWait, uintptr(bell), uintptr(unsafe.Pointer(&t)), 0, 0)
}
