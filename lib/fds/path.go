package fds

import (
	"fmt"
	"io"
	"strings"

	"golang.org/x/sys/unix"

	"floe/lib/image"
	"floe/lib/kabi"
	"floe/lib/record"
)

// pathKind is the kind of regular files, directories and O_PATH handles: what
// is opened again by its name.
type pathKind struct{}

func (pathKind) takes(d *desc) bool {
	if isAnon(d.link) {
		return false
	}
	return d.info.flags&unix.O_PATH != 0 || d.format() == unix.S_IFREG || d.format() == unix.S_IFDIR
}

func (pathKind) save(c *collector, d *desc) error {
	if name, ok := strings.CutPrefix(d.link, "/memfd:"); ok && d.stat.Nlink == 0 {
		return d.refuse("", "a memfd (%s)", strings.TrimSuffix(name, deletedSuffix))
	}
	what, hint := c.reachable(d.link, &d.stat)
	if what == "" && d.info.flags&tmpFile != 0 {
		what, hint = fmt.Sprintf("a file made with O_TMPFILE (%s)", d.link), "open it by its name"
	}
	if what == "" && d.info.flags&unix.O_PATH == 0 && d.info.writes() && pressure(d.link) {
		what = fmt.Sprintf("a file of pressure information that may have a trigger (%s)", d.link)
	}
	if what == "" {
		what = d.small()
	}
	if what != "" {
		return d.refuse(hint, "%s", what)
	}
	id, err := c.file(d.link, &d.stat)
	if err != nil {
		return err
	}
	d.rec.Object = &record.OpenFile_Path_{Path: &record.OpenFile_Path{FileId: id}}
	return nil
}

// small says what a file is that was opened without O_LARGEFILE: opened again, it
// would get that.
func (d *desc) small() string {
	if d.info.flags&(unix.O_PATH|kabi.O_LARGEFILE) != 0 {
		return ""
	}
	return fmt.Sprintf("a file that was opened without O_LARGEFILE, as 32-bit programs do (%s)", d.link)
}

// pressure tells whether a name is that of a file of pressure stall information. A
// trigger that is written into one belongs to the description, and isn't shown.
func pressure(name string) bool {
	if strings.HasPrefix(name, "/proc/pressure/") {
		return true
	}
	var fs unix.Statfs_t
	return strings.HasSuffix(name, ".pressure") && unix.Statfs(name, &fs) == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC
}

const deletedSuffix = " (deleted)"

// reachable tells whether path, as /proc shows it for something that st
// describes, leads to that same thing; if not, what it is, for people.
func (c *collector) reachable(path string, st *status) (what, hint string) {
	var at unix.Stat_t
	err := unix.Lstat(path, &at)
	switch {
	case err == nil && at.Dev == st.Dev && at.Ino == st.Ino:
		if aboutTask(path) && isProc(path) {
			return fmt.Sprintf("a file of /proc about a process (%s)", path), ""
		}
		return "", ""
	case st.Nlink == 0:
		what := "file"
		if st.Mode&unix.S_IFMT == unix.S_IFDIR {
			what = "directory"
		}
		return fmt.Sprintf("a deleted %s (%s)", what, strings.TrimSuffix(path, deletedSuffix)), ""
	case strings.HasSuffix(path, deletedSuffix):
		return fmt.Sprintf("a file that has lost the name it was opened by (%s)", strings.TrimSuffix(path, deletedSuffix)), ""
	}
	return fmt.Sprintf("%s, which something else hides at its place,", path), "checkpoint in the mount namespace of the task"
}

// aboutTask tells whether a path has a component that could be a task's id.
func aboutTask(path string) bool {
	for _, part := range strings.Split(path, "/") {
		if part != "" && strings.Trim(part, "0123456789") == "" {
			return true
		}
	}
	return false
}

func isProc(path string) bool {
	var fs unix.Statfs_t
	return unix.Statfs(path, &fs) == nil && fs.Type == unix.PROC_SUPER_MAGIC
}

// fileKey tells Files apart.
type fileKey struct {
	dev, ino uint64
	path     string
}

// file is the file_id of a file, whose record is added when it is new.
func (c *collector) file(path string, st *status) (uint64, error) {
	key := fileKey{st.Dev, st.Ino, path}
	if id, ok := c.files[key]; ok {
		return id, nil
	}
	id := uint64(firstFile + len(c.files))
	c.files[key] = id
	f := &record.File{
		FileId: id, Path: []byte(path), Dev: st.Dev, Ino: st.Ino, Mode: st.Mode, Size: uint64(st.Size),
		MtimeNs: st.Mtim.Nano(), Rdev: st.Rdev, Uid: st.Uid, Gid: st.Gid,
	}
	return id, c.tree.Add(&record.Record{Body: &record.Record_File{File: f}}, nil)
}

func (pathKind) opens(im *image.Image, o *record.OpenFile) bool {
	return o.GetPath() != nil && (o.Flags&unix.O_PATH != 0 || formatOf(im, o) != unix.S_IFCHR)
}

// creationFlags are the flags that count only while a file is opened, and so don't
// belong to its description.
const creationFlags = unix.O_CREAT | unix.O_EXCL | unix.O_TRUNC | unix.O_NOCTTY | unix.O_CLOEXEC

// tmpFile is the bit of O_TMPFILE that is not O_DIRECTORY's. A file that was made
// so, and linked, keeps it; one that is opened by its name can't get it.
const tmpFile = unix.O_TMPFILE &^ unix.O_DIRECTORY

func (pathKind) open(s *Set, o *record.OpenFile) (int, error) {
	f, err := s.file(o.GetPath().FileId)
	if err != nil {
		return -1, err
	}
	if err := checkPath(f, o); err != nil {
		return -1, err
	}
	return openChecked(f, openFlags(o), checks{sameBoot: s.sameBoot, force: s.opt.ForceFiles})
}

// openFlags are those that an open file is opened again with.
func openFlags(o *record.OpenFile) int { return int(o.Flags) &^ creationFlags }

func (pathKind) check(s *Set, o *record.OpenFile) error {
	f, err := s.file(o.GetPath().FileId)
	if err != nil {
		return err
	}
	return checkPath(f, o)
}

func (pathKind) show(im *image.Image, o *record.OpenFile) string { return showPath(im, o) }

// FileOf is the file that an open file was opened by the name of; 0: it has none.
func FileOf(o *record.OpenFile) uint64 { return o.GetPath().GetFileId() }

// showPath is a file with the position in it.
func showPath(im *image.Image, o *record.OpenFile) string {
	id := o.GetPath().FileId
	f := im.File(id)
	if f == nil {
		return fmt.Sprintf("file %d, which is not there", id)
	}
	name := string(f.Path)
	if f.Deleted {
		name += deletedSuffix
	}
	if f.Mode&unix.S_IFMT != unix.S_IFREG && f.Mode&unix.S_IFMT != 0 {
		_, format, _ := strings.Cut(formatName(f.Mode), " ")
		name += ", " + format
		if f.Rdev != 0 {
			name += fmt.Sprintf(" %d:%d", unix.Major(f.Rdev), unix.Minor(f.Rdev))
		}
		if o.Pos == 0 {
			return name
		}
	}
	return fmt.Sprintf("%s, at %d of %d", name, o.Pos, f.Size)
}

// checkPath checks that a file can be opened by its name as o was.
func checkPath(f *record.File, o *record.OpenFile) error {
	format := f.Mode & unix.S_IFMT
	if o.Flags&unix.O_PATH == 0 && format != unix.S_IFREG && format != unix.S_IFDIR {
		return fmt.Errorf("%s: it is %s in the image, which is not opened by name", f.Path, formatName(f.Mode))
	}
	return checkNotTemporary(f, o)
}

func checkNotTemporary(f *record.File, o *record.OpenFile) error {
	if o.Flags&tmpFile != 0 {
		return fmt.Errorf("%s: it was made with O_TMPFILE, which can't be restored", f.Path)
	}
	return nil
}

func (pathKind) finish(_ *Set, o *record.OpenFile, fd int) error {
	if o.Flags&unix.O_PATH != 0 || o.Pos == 0 {
		return nil
	}
	if _, err := unix.Seek(fd, o.Pos, io.SeekStart); err != nil {
		return fmt.Errorf("seek to %d: %w", o.Pos, err)
	}
	return nil
}

// formatName names a file type.
func formatName(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return "a regular file"
	case unix.S_IFDIR:
		return "a directory"
	case unix.S_IFCHR:
		return "a character device"
	case unix.S_IFBLK:
		return "a block device"
	case unix.S_IFIFO:
		return "a fifo"
	case unix.S_IFLNK:
		return "a symbolic link"
	case unix.S_IFSOCK:
		return "a socket"
	}
	return fmt.Sprintf("a file of type %#o", mode&unix.S_IFMT)
}
