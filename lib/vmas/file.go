package vmas

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"floe/lib/buildid"
	"floe/lib/record"
)

// deletedSuffix is what the kernel adds to the path of a file without a name.
const deletedSuffix = " (deleted)"

// fileKey tells Files apart.
type fileKey struct {
	dev, ino uint64
	path     string
}

// file is the file_id of a regular file, whose record is emitted when it is
// new.
func (s *space) file(o *object) (uint64, error) {
	k := fileKey{o.stat.Dev, o.stat.Ino, o.path}
	if id := s.files[k]; id != 0 {
		return id, nil
	}
	if err := refuseObject(o); err != nil {
		return 0, err
	}
	if err := reachable(o); err != nil {
		return 0, err
	}
	f := &record.File{
		FileId: uint64(len(s.files) + 1), Path: []byte(o.path), Dev: o.stat.Dev, Ino: o.stat.Ino, Mode: o.stat.Mode,
		Size: uint64(o.stat.Size), MtimeNs: o.stat.Mtim.Nano(), Uid: o.stat.Uid, Gid: o.stat.Gid,
	}
	if r, err := s.open(o.link); err == nil {
		f.BuildId = buildid.Read(r)
		r.Close()
	}
	s.files[k] = f.FileId
	return f.FileId, s.emit(&record.Record{Body: &record.Record_File{File: f}})
}

// reachable tells why a file's path doesn't lead to it.
func reachable(o *object) error {
	var at unix.Stat_t
	err := unix.Stat(o.path, &at)
	if err == nil && at.Dev == o.stat.Dev && at.Ino == o.stat.Ino {
		return nil // even if its path ends so
	}
	name, gone := strings.CutSuffix(o.path, deletedSuffix)
	switch {
	case gone && o.stat.Nlink == 0:
		return fmt.Errorf("the file %s has been deleted (or replaced, by an upgrade?) and can't be saved yet; start the program again", name)
	case gone:
		return fmt.Errorf("the file %s has been deleted or renamed while it has other names, and can't be saved yet; link it there again", name)
	case err != nil:
		return fmt.Errorf("the file %s: %w", name, err)
	}
	return fmt.Errorf("the file %s is hidden by another that is mounted over it; unmount that", name)
}
