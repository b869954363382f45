package vdso

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mapCode puts code at an address; it is never writable and executable at a
// time.
func mapCode(t testing.TB, at uint64, b []byte) {
	t.Helper()
	const fixedNoReplace = 0x100000
	size := (uintptr(len(b)) + 4095) &^ 4095
	addr := uintptr(at)
	p, err := unix.MmapPtr(-1, 0, *(*unsafe.Pointer)(unsafe.Pointer(&addr)), size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|fixedNoReplace)
	if err != nil || uintptr(p) != uintptr(at) {
		t.Fatalf("mmap at %x: %v, %v", at, p, err)
	}
	t.Cleanup(func() { _ = unix.MunmapPtr(p, size) })
	m := unsafe.Slice((*byte)(p), size)
	copy(m, b)
	if err := unix.Mprotect(m, unix.PROT_READ|unix.PROT_EXEC); err != nil {
		t.Fatal(err)
	}
}

// memory is a page that C functions may write to.
type memory []byte

func newMemory(t testing.TB) memory {
	t.Helper()
	m, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Munmap(m) })
	return m
}

func (m memory) at(off int) uintptr { return uintptr(unsafe.Pointer(&m[off])) }

// call3 calls a function of three arguments, and getrandom takes two more.
func call3(fn uint64, a, b, c uintptr) int64 { return int64(call(uintptr(fn), a, b, c, nil, 0)) }

func callRandom(fn uint64, m memory, n int, state memory, size uintptr) int64 {
	return int64(call(uintptr(fn), m.at(0), uintptr(n), 0, unsafe.Pointer(&state[0]), size))
}

// askSize asks getrandom for the size of its states, into m.
func askSize(fn uint64, m memory) int64 {
	return int64(call(uintptr(fn), 0, 0, 0, unsafe.Pointer(&m[0]), ^uintptr(0)))
}
