package fds

import (
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/image"
	"floe/lib/record"
)

// Mapped is a file that is mapped, or a program.
type Mapped struct {
	FileID   uint64
	Writable bool
}

// CheckFiles looks for the files that the tree has mapped and open, and for its
// directories, without opening any of them, and reports those that are gone, or
// other ones now, or can't be opened as they were. What report returns ends it.
func CheckFiles(im *image.Image, mapped []Mapped, opt OpenOptions, report func(error) error) error {
	c := &fileCheck{im: im, same: sameBoot(im), force: opt.ForceFiles, seen: map[use]bool{}}
	for _, m := range mapped {
		access := uint32(unix.R_OK)
		if m.Writable {
			access |= unix.W_OK
		}
		if err := c.look(use{m.FileID, access, true}); err != nil {
			if err := report(err); err != nil {
				return err
			}
		}
	}
	for _, fs := range im.Fs {
		for _, id := range []uint64{fs.CwdFile, fs.RootFile} {
			if err := c.look(use{id, unix.X_OK, true}); err != nil {
				if err := report(fmt.Errorf("directory: %w", err)); err != nil {
					return err
				}
			}
		}
	}
	for _, id := range im.OpenOrder {
		if err := c.open(im.OpenFile(id)); err != nil {
			if err := report(about(im, id, err)); err != nil {
				return err
			}
		}
	}
	return nil
}

// fileCheck looks at each file once for each use.
type fileCheck struct {
	im          *image.Image
	same, force bool
	seen        map[use]bool
}

type use struct {
	file   uint64
	access uint32 // R_OK, W_OK, X_OK
	mapped bool
}

// open looks for what an open file is of, when that has a name.
func (c *fileCheck) open(o *record.OpenFile) error {
	if p := o.GetPath(); p != nil {
		access := [4]uint32{unix.R_OK, unix.W_OK, unix.R_OK | unix.W_OK, 0}[o.Flags&unix.O_ACCMODE]
		if o.Flags&unix.O_PATH != 0 {
			access = 0
		}
		return c.look(use{p.FileId, access, false})
	}
	if fifo := c.im.Pipes[o.GetPipe().GetPipeId()].GetFifoFile(); fifo != 0 {
		return c.look(use{fifo, unix.R_OK | unix.W_OK, false})
	}
	return nil
}

func (c *fileCheck) look(u use) error {
	if c.seen[u] {
		return nil
	}
	c.seen[u] = true
	f := c.im.File(u.file)
	if f == nil {
		return fmt.Errorf("file %d is not in the image", u.file)
	}
	fd, err := openChecked(f, unix.O_PATH|unix.O_NOFOLLOW, checks{sameBoot: c.same, mapped: u.mapped, force: c.force})
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if u.access == 0 {
		return nil
	}
	if err := unix.Faccessat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), u.access, unix.AT_EACCESS); err != nil {
		return fmt.Errorf("%s: %w", f.Path, err)
	}
	return nil
}
