package vmas

import (
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"floe/lib/procfs"
)

// object is what is behind a mapping, or a task's program.
type object struct {
	link string // in /proc/PID, where it was found
	path string // as that link reads: " (deleted)" may follow
	stat unix.Stat_t
	fs   int64 // type of its filesystem, *_MAGIC
}

// behindKey tells objects apart within an address space.
type behindKey struct {
	major, minor uint32
	inode        uint64
	name         string
}

// mapped looks at what is behind a mapping.
func (s *space) mapped(m *procfs.Mapping) (*object, error) {
	k := behindKey{m.Major, m.Minor, m.Inode, m.Name}
	if o := s.behind[k]; o != nil {
		return o, nil
	}
	o, err := s.look(fmt.Sprintf("map_files/%x-%x", m.Start, m.End))
	if err != nil {
		return nil, err
	}
	s.behind[k] = o
	return o, nil
}

// look looks at what a link in /proc/PID leads to.
func (s *space) look(link string) (*object, error) {
	fail := func(what string, err error) (*object, error) {
		return nil, &os.PathError{Op: what, Path: s.proc.Name() + "/" + link, Err: err}
	}
	o := &object{link: link}
	path := make([]byte, unix.PathMax+len(deletedSuffix)+1)
	n, err := unix.Readlinkat(int(s.proc.Fd()), link, path)
	if err != nil {
		return fail("readlink", err)
	}
	o.path = string(path[:n])
	fd, err := unix.Openat(int(s.proc.Fd()), link, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return fail("open", err)
	}
	defer unix.Close(fd)
	if err := unix.Fstat(fd, &o.stat); err != nil {
		return fail("stat", err)
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return fail("statfs", err)
	}
	o.fs = fs.Type
	return o, nil
}

// isZero tells /dev/zero, of which a private mapping is anonymous memory.
func (o *object) isZero() bool {
	return o.stat.Mode&unix.S_IFMT == unix.S_IFCHR && o.stat.Rdev == unix.Mkdev(1, 5)
}

// shmemDevice finds out the device number of the tmpfs that the kernel keeps
// for itself, once: shared anonymous memory, memfds and System V shared memory
// are files of it.
func shmemDevice() func() (uint64, error) {
	return sync.OnceValues(func() (uint64, error) {
		fd, err := unix.MemfdCreate("floe", unix.MFD_CLOEXEC)
		if err != nil {
			return 0, fmt.Errorf("memfd_create: %w", err)
		}
		defer unix.Close(fd)
		var st unix.Stat_t
		err = unix.Fstat(fd, &st)
		return st.Dev, err
	})
}
