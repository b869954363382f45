package fds

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"floe/lib/clocks"
	"floe/lib/image"
	"floe/lib/record"
)

// checks says how closely a file must be the one of the image.
type checks struct {
	sameBoot bool // device and inode numbers still mean the same
	mapped   bool // its contents are part of a process
	force    bool // --force-files: only its type must be right
}

// OpenMapped opens a file of the image that is mapped, or a program: a regular
// file. Nothing else is opened: a fifo would be waited for, and a device might
// do something.
func OpenMapped(im *image.Image, fileID uint64, writable bool, opt OpenOptions) (int, error) {
	if f := im.File(fileID); f != nil && f.Mode&unix.S_IFMT != unix.S_IFREG {
		return -1, fmt.Errorf("%s: it is %s in the image, and only regular files are mapped", f.Path, formatName(f.Mode))
	}
	flags := unix.O_RDONLY
	if writable {
		flags = unix.O_RDWR
	}
	return OpenFile(im, fileID, flags, opt)
}

// OpenFile opens a file of the image with flags, close-on-exec: a mapped file,
// an executable, a directory. It must be the file that it was: of the same size
// and, unless it is a directory, with the same build-id or else the same time of
// modification; and on the same boot the same inode.
func OpenFile(im *image.Image, fileID uint64, flags int, opt OpenOptions) (int, error) {
	f := im.File(fileID)
	if f == nil {
		return -1, fmt.Errorf("file %d is not in the image", fileID)
	}
	return openChecked(f, flags, checks{sameBoot: sameBoot(im), mapped: true, force: opt.ForceFiles})
}

// sameBoot tells whether the image was made on this boot of this kernel.
func sameBoot(im *image.Image) bool {
	boot, err := clocks.BootID()
	return err == nil && im.Header != nil && im.Header.BootId == boot
}

// openChecked opens f. The first open is of the name alone, which blocks on
// nothing and has no effect on a device; once that is the right file, the same
// inode is opened with flags.
func openChecked(f *record.File, flags int, ck checks) (int, error) {
	path := string(f.Path)
	if !strings.HasPrefix(path, "/") || strings.IndexByte(path, 0) >= 0 {
		return -1, fmt.Errorf("%q is not an absolute path", path)
	}
	handle, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("%s: %w", path, err)
	}
	defer unix.Close(handle)
	var st unix.Stat_t
	if err := unix.Fstat(handle, &st); err != nil {
		return -1, fmt.Errorf("%s: %w", path, err)
	}
	if err := ck.check(f, &st, handle); err != nil {
		return -1, err
	}
	flags &^= creationFlags
	if flags == unix.O_PATH|unix.O_NOFOLLOW {
		return unix.FcntlInt(uintptr(handle), unix.F_DUPFD_CLOEXEC, 0)
	}
	// O_NONBLOCK: another process's lease on the file is an error, not a wait.
	fd, err := -1, error(nil)
	if flags&unix.O_NOFOLLOW == 0 {
		fd, err = reopen(handle, flags|unix.O_NONBLOCK)
	} else {
		fd, err = openNamed(path, flags|unix.O_NONBLOCK, &st)
	}
	if err == nil && flags&(unix.O_NONBLOCK|unix.O_PATH) == 0 {
		err = setStatus(fd, uint32(flags))
	}
	if err != nil {
		return -1, fmt.Errorf("%s: %w", path, err)
	}
	return fd, nil
}

// openNamed opens by its name what was opened with O_NOFOLLOW: the description
// shows the flag, and a link of /proc can't be opened with it. It must be the file
// that st describes.
func openNamed(path string, flags int, st *unix.Stat_t) (int, error) {
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return -1, err
	}
	var now unix.Stat_t
	if err = unix.Fstat(fd, &now); err == nil && (now.Dev != st.Dev || now.Ino != st.Ino) {
		err = fmt.Errorf("another file has its name now")
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// reopen opens what a descriptor refers to once more, as a new description.
func reopen(fd, flags int) (int, error) {
	return unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), flags|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
}

// check compares a file with what st says of the one at its place now.
func (ck checks) check(f *record.File, st *unix.Stat_t, handle int) error {
	if got, want := st.Mode&unix.S_IFMT, f.Mode&unix.S_IFMT; got != want {
		return fmt.Errorf("%s: it is %s now, and was %s", f.Path, formatName(got), formatName(want))
	}
	if got, want := st.Rdev, f.Rdev; got != want {
		return fmt.Errorf("%s: it is device %d:%d now, and was %d:%d", f.Path, unix.Major(got), unix.Minor(got), unix.Major(want), unix.Minor(want))
	}
	if ck.force || isVirtual(handle) {
		return nil
	}
	const hint = "; --force-files opens it all the same"
	format := f.Mode & unix.S_IFMT
	if ck.sameBoot && format != unix.S_IFCHR && (st.Dev != f.Dev || st.Ino != f.Ino) {
		return fmt.Errorf("%s: another file has its name now (inode %d on device %#x, was %d on %#x)%s", f.Path, st.Ino, st.Dev, f.Ino, f.Dev, hint)
	}
	if format != unix.S_IFREG {
		return nil
	}
	if uint64(st.Size) != f.Size {
		return fmt.Errorf("%s: its size is %d bytes now, and was %d%s", f.Path, st.Size, f.Size, hint)
	}
	if !ck.mapped || st.Mtim.Nano() == f.MtimeNs {
		return nil
	}
	if len(f.BuildId) > 0 {
		if got := buildID(handle); !bytes.Equal(got, f.BuildId) {
			return fmt.Errorf("%s: its build-id is %x now, and was %x%s", f.Path, got, f.BuildId, hint)
		}
		return nil
	}
	// Its contents are part of the process, and not in the image.
	at := func(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339Nano) }
	return fmt.Errorf("%s: it was modified since: at %s, before at %s%s", f.Path, at(st.Mtim.Nano()), at(f.MtimeNs), hint)
}

// isVirtual tells whether a file is the kernel's own report, which has no
// lasting inode number and no size.
func isVirtual(fd int) bool {
	var fs unix.Statfs_t
	if unix.Fstatfs(fd, &fs) != nil {
		return false
	}
	switch fs.Type {
	case unix.PROC_SUPER_MAGIC, unix.SYSFS_MAGIC, unix.CGROUP_SUPER_MAGIC, unix.CGROUP2_SUPER_MAGIC,
		unix.DEBUGFS_MAGIC, unix.TRACEFS_MAGIC, unix.SECURITYFS_MAGIC:
		return true
	}
	return false
}
