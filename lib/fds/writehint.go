package fds

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/record"
)

// writeHint saves how long data that is written to an inode is expected to live
// (F_SET_RW_HINT). The inode that all anonymous ones share is the machine's.
func (c *collector) writeHint(d *desc, fd int) error {
	if isAnon(d.link) && d.format() != unix.S_IFIFO {
		return nil
	}
	if err := fcntl(fd, unix.F_GET_RW_HINT, &d.rec.WriteHint); err != nil {
		return fmt.Errorf("F_GET_RW_HINT: %w", err)
	}
	if c.oneHint {
		return nil
	}
	// Kernels before 5.17 have another one in the description.
	var own uint64
	err := fcntl(fd, unix.F_GET_FILE_RW_HINT, &own)
	c.oneHint = errors.Is(err, unix.EINVAL)
	if err != nil && !c.oneHint {
		return fmt.Errorf("F_GET_FILE_RW_HINT: %w", err)
	}
	if own != 0 {
		return d.refuse("take it away first, or close the file", "%s with a write hint of its own (F_SET_FILE_RW_HINT), which newer kernels don't have,", d.link)
	}
	return nil
}

// setWriteHint sets an inode's hint again: it is the file's and may still be there,
// but no file system keeps it.
func setWriteHint(fd int, o *record.OpenFile) error {
	var have uint64
	if o.WriteHint == 0 {
		return nil
	}
	if err := fcntl(fd, unix.F_GET_RW_HINT, &have); err == nil && have == o.WriteHint {
		return nil
	}
	want := o.WriteHint
	if err := fcntl(fd, unix.F_SET_RW_HINT, &want); err != nil {
		return fmt.Errorf("F_SET_RW_HINT %d: %w", want, err)
	}
	return nil
}
