package procfs

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Open opens a file or directory of /proc; flags are open(2)'s. os.Open asks the
// runtime's poller to watch it, which takes a handful of system calls, more for
// the first, and gives nothing: these files are always ready.
func Open(path string, flags int) (*os.File, error) {
	fd, err := open(path, flags)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

func open(path string, flags int) (int, error) {
	fd, err := retry(func() (int, error) { return unix.Open(path, flags|unix.O_CLOEXEC, 0) })
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return fd, nil
}

// ReadFile reads a whole file: a small one with four system calls where
// os.ReadFile takes nine, for threads come by the thousand.
func ReadFile(path string) ([]byte, error) {
	fd, err := open(path, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	b := make([]byte, 0, 2048)
	for {
		n, err := retry(func() (int, error) { return unix.Read(fd, b[len(b):cap(b)]) })
		if err != nil {
			return nil, &os.PathError{Op: "read", Path: path, Err: err}
		}
		b = b[:len(b)+n]
		if n == 0 {
			return b, nil
		}
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
	}
}

// read reads a file of /proc/TID.
func read(tid int, name string) ([]byte, error) {
	return ReadFile("/proc/" + strconv.Itoa(tid) + "/" + name)
}
