package image

import (
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/record"
)

// checkDirectories checks that every live task has its directories.
func (im *Image) checkDirectories() error {
	for _, t := range im.Tasks {
		if live(t) && im.Fs[t.FsId] == nil {
			return taskError(t, "its directories are not in the image")
		}
	}
	for id, fs := range im.Fs {
		for _, file := range []uint64{fs.CwdFile, fs.RootFile} {
			f := im.File(file)
			if f == nil {
				return fmt.Errorf("fs %d: a directory of it is file %d, which is not in the image", id, file)
			}
			if f.Mode&unix.S_IFMT != unix.S_IFDIR {
				return fmt.Errorf("fs %d: %s is no directory", id, f.Path)
			}
		}
		if fs.Umask&^0o777 != 0 {
			return fmt.Errorf("fs %d: umask %#o", id, fs.Umask)
		}
	}
	return nil
}

// maxFd is above any descriptor number: the highest fs.nr_open.
const maxFd = 1 << 30

// checkDescriptors checks the descriptor tables.
func (im *Image) checkDescriptors() error {
	used := map[uint64]bool{}
	for _, t := range im.Tasks {
		used[t.FilesId] = used[t.FilesId] || live(t)
	}
	for id, list := range im.Fds {
		if !used[id] {
			return fmt.Errorf("descriptor table %d is no task's", id)
		}
		for _, f := range list {
			if !im.HasOpenFile(f.OpenId) {
				return fmt.Errorf("descriptor table %d: fd %d is open file %d, which is not in the image", id, f.Fd, f.OpenId)
			}
			if f.Fd >= maxFd {
				return fmt.Errorf("descriptor table %d: no descriptor has number %d", id, f.Fd)
			}
		}
	}
	return nil
}

func openError(id uint64, format string, args ...any) error {
	return fmt.Errorf("open file %d: %w", id, fmt.Errorf(format, args...))
}

// ownerGroup is F_OWNER_PGRP, the last of them.
const ownerGroup = 2

// checkOpenFiles checks what all open files have. What is special to a kind is
// checked in package fds.
func (im *Image) checkOpenFiles() error {
	for _, id := range im.OpenOrder {
		o := im.OpenFile(id)
		if o.Flags&unix.O_ACCMODE == unix.O_ACCMODE {
			return openError(id, "flags %#o: open for neither reading nor writing", o.Flags)
		}
		if o.Pos < 0 {
			return openError(id, "position %d", o.Pos)
		}
		if o.OwnerType < 0 || o.OwnerType > ownerGroup {
			return openError(id, "owner of type %d: there is no such type", o.OwnerType)
		}
		if o.OwnerSignal < 0 || o.OwnerSignal > signals {
			return openError(id, "signal %d: there is no such signal", o.OwnerSignal)
		}
		if o.Object == nil {
			return openError(id, "its kind: %w", ErrUnknown)
		}
	}
	return nil
}

// maxCapacity is above any size of a pipe, bytes.
const maxCapacity = 1 << 31

// checkPipes checks pipes and what is in them.
func (im *Image) checkPipes() error {
	for id, p := range im.Pipes {
		data := uint64(im.PipeBytes(id))
		switch {
		case p.Capacity == 0 || p.Capacity > maxCapacity:
			return fmt.Errorf("pipe %d: its size is %d", id, p.Capacity)
		case data > uint64(p.Capacity):
			return fmt.Errorf("pipe %d: %d bytes are in it, more than its size %d", id, data, p.Capacity)
		case p.FifoFile != 0 && !im.HasFile(p.FifoFile):
			return fmt.Errorf("pipe %d: it is of file %d, which is not in the image", id, p.FifoFile)
		case p.FifoFile != 0 && im.File(p.FifoFile).GetMode()&unix.S_IFMT != unix.S_IFIFO:
			return fmt.Errorf("pipe %d: %s is no fifo", id, im.File(p.FifoFile).Path)
		case p.Uid == noID || p.Gid == noID:
			return fmt.Errorf("pipe %d: user %d, group %d: there is none", id, p.Uid, p.Gid)
		}
	}
	return nil
}

// checkLocks checks locks on files.
func (im *Image) checkLocks() error {
	for _, l := range im.FileLocks {
		switch {
		case !l.Kind.Known():
			return fmt.Errorf("lock of kind %d: %w", l.Kind, ErrUnknown)
		case !im.HasOpenFile(l.OpenId):
			return fmt.Errorf("lock on open file %d, which is not in the image", l.OpenId)
		case l.Start > 1<<63-1 || l.Len > 1<<63-1-l.Start:
			return fmt.Errorf("lock on open file %d: %d bytes at %d", l.OpenId, l.Len, l.Start)
		case (l.Kind == record.FileLock_POSIX || l.Kind == record.FileLock_FLOCK && l.Pid != 0) && im.Fd(l.FilesId, l.Fd).GetOpenId() != l.OpenId:
			return fmt.Errorf("lock on open file %d: fd %d of descriptor table %d is not that file", l.OpenId, l.Fd, l.FilesId)
		}
	}
	return nil
}
