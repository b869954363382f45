package fds

import (
	"fmt"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"floe/lib/procfs"
)

// fdDirs are /proc/PID/fd and /proc/PID/fdinfo of a task, held open: looking up
// a task by its id for every descriptor costs more than reading about it.
type fdDirs struct {
	fd, fdinfo *os.File
	buf        []byte
}

func openFDDirs(pid int32) (*fdDirs, error) {
	fd, err := procfs.Open(fmt.Sprintf("/proc/%d/fd", pid), unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	info, err := procfs.Open(fmt.Sprintf("/proc/%d/fdinfo", pid), unix.O_RDONLY)
	if err != nil {
		fd.Close()
		return nil, err
	}
	return &fdDirs{fd, info, make([]byte, unix.PathMax)}, nil
}

func (d *fdDirs) close() {
	d.fd.Close()
	d.fdinfo.Close()
}

// numbers lists the descriptors in order.
func (d *fdDirs) numbers() ([]int32, error) {
	names, err := d.fd.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	list := make([]int32, len(names))
	for i, name := range names {
		n, err := strconv.ParseInt(name, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d.fd.Name(), err)
		}
		list[i] = int32(n)
	}
	slices.Sort(list)
	return list, nil
}

// link is the name that /proc gives what a descriptor refers to.
func (d *fdDirs) link(fd int32) (string, error) {
	n, err := unix.Readlinkat(int(d.fd.Fd()), strconv.Itoa(int(fd)), d.buf)
	if err != nil {
		return "", fmt.Errorf("readlink of %s/%d: %w", d.fd.Name(), fd, err)
	}
	if n == len(d.buf) {
		return "", fmt.Errorf("%s/%d: its name is longer than %d bytes", d.fd.Name(), fd, n)
	}
	return string(d.buf[:n]), nil
}

// stat is fstat(2) of a descriptor.
func (d *fdDirs) stat(fd int32, st *unix.Stat_t) error {
	if err := unix.Fstatat(int(d.fd.Fd()), strconv.Itoa(int(fd)), st, 0); err != nil {
		return fmt.Errorf("stat of %s/%d: %w", d.fd.Name(), fd, err)
	}
	return nil
}

// info reads a descriptor's fdinfo.
func (d *fdDirs) info(fd int32) (*fdinfo, error) {
	b, err := d.readInfo(fd)
	if err != nil {
		return nil, fmt.Errorf("%s/%d: %w", d.fdinfo.Name(), fd, err)
	}
	info, err := parseFDInfo(b)
	if err != nil {
		return nil, fmt.Errorf("%s/%d: %w", d.fdinfo.Name(), fd, err)
	}
	return info, nil
}

// maxInfo bounds an fdinfo: an epoll has a line for each of its entries; bytes.
const maxInfo = 64 << 20

// readInfo reads a whole fdinfo; the result is good until the next call.
func (d *fdDirs) readInfo(fd int32) ([]byte, error) {
	f, err := unix.Openat(int(d.fdinfo.Fd()), strconv.Itoa(int(fd)), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(f)
	got := 0
	for {
		if got == len(d.buf) {
			if got >= maxInfo {
				return nil, fmt.Errorf("it is longer than %d bytes", maxInfo)
			}
			d.buf = append(d.buf, make([]byte, len(d.buf))...)
		}
		n, err := unix.Read(f, d.buf[got:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return d.buf[:got], nil
		}
		got += n
	}
}
