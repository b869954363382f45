package shapes

import (
	"os"

	"golang.org/x/sys/unix"
)

// readProc is a file of /proc, nil when it can't be read.
func readProc(path string) []byte {
	f, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(f)
	b := make([]byte, 0, 4096)
	for {
		if len(b) == cap(b) {
			b = append(b, make([]byte, len(b))...)[:len(b)]
		}
		n, err := unix.Read(f, b[len(b):cap(b)])
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return b
		}
		b = b[:len(b)+n]
	}
}

func link(path string) string {
	s, err := os.Readlink(path)
	if err != nil {
		return "unreadable"
	}
	return s
}
