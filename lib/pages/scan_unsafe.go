package pages

import (
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"floe/lib/kabi"
)

// pagemapScan is the PAGEMAP_SCAN ioctl on a /proc/PID/pagemap. It fills in the
// size and the vector of arg and returns how many regions the kernel wrote.
// vec must be on the heap: the kernel gets its address as a number.
func pagemapScan(f *os.File, arg *kabi.PmScanArg, vec []kabi.PageRegion) (int, error) {
	arg.Size = uint64(unsafe.Sizeof(*arg))
	arg.Vec = uint64(uintptr(unsafe.Pointer(&vec[0])))
	arg.VecLen = uint64(len(vec))
	n, _, e := unix.Syscall(unix.SYS_IOCTL, f.Fd(), kabi.PAGEMAP_SCAN, uintptr(unsafe.Pointer(arg)))
	runtime.KeepAlive(vec)
	runtime.KeepAlive(f)
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}
