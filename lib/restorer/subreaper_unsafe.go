package restorer

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// childSubreaper tells whether this process is one.
func childSubreaper() (int, error) {
	var v int32
	if err := unix.Prctl(unix.PR_GET_CHILD_SUBREAPER, uintptr(unsafe.Pointer(&v)), 0, 0, 0); err != nil {
		return 0, fmt.Errorf("child subreaper: %w", err)
	}
	return int(v), nil
}
