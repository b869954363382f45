package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// checkOwner refuses an image that somebody else can have written: it can run
// any program as the caller. Only a file tells whose it is.
func checkOwner(in *os.File) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(in.Fd()), &st); err != nil {
		return fmt.Errorf("%s: %w", in.Name(), err)
	}
	const othersWrite = 0o022
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return nil
	case st.Uid != 0 && st.Uid != uint32(os.Geteuid()):
		return fmt.Errorf("%s belongs to user %d, who could run any program through it; if you trust it, chown it, or pipe it in: cat IMAGE | restore", in.Name(), st.Uid)
	case st.Mode&othersWrite != 0:
		return fmt.Errorf("%s can be written by others (mode %04o), who could run any program through it; if you trust it, chmod go-w it", in.Name(), st.Mode&0o7777)
	}
	return nil
}
