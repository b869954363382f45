package fds

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/kabi"
)

// owner saves who gets the signals of a description (F_SETOWN, F_SETSIG).
// Files and directories send none but for leases, which are refused, and
// dnotify.
func (c *collector) owner(d *desc) error {
	if d.rec.GetPath() != nil && d.format() != unix.S_IFCHR || d.info.flags&unix.O_PATH != 0 || d.rec.GetExternal() != nil {
		return nil
	}
	fd, err := c.dup(d)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	o, err := getOwner(fd)
	if err != nil {
		return fmt.Errorf("F_GETOWN_EX: %w", err)
	}
	sig, err := unix.FcntlInt(uintptr(fd), kabi.F_GETSIG, 0)
	if err != nil {
		return fmt.Errorf("F_GETSIG: %w", err)
	}
	d.rec.OwnerSignal = int32(sig)
	if o.Pid == 0 {
		return nil
	}
	d.rec.Owner, d.rec.OwnerType = o.Pid, o.Type
	if o.Type == kabi.F_OWNER_PGRP {
		d.rec.Owner = -o.Pid
	}
	return nil
}

// Owner is who gets the signals of a description.
type Owner struct {
	OpenID uint64
	Type   int32 // F_OWNER_*
	Pid    int32 // of a task, a thread or a process group
	Signal int32 // 0: SIGIO
	Async  bool  // O_ASYNC
}

// Owners lists the owners of descriptions. SetOwners sets them.
func (s *Set) Owners() []Owner {
	var list []Owner
	for _, id := range s.im.OpenOrder {
		o := s.im.OpenFile(id)
		async := o.Flags&unix.O_ASYNC != 0
		if o.GetExternal() != nil || o.Owner == 0 && o.OwnerSignal == 0 && !async {
			continue
		}
		list = append(list, Owner{id, o.OwnerType, max(o.Owner, -o.Owner), o.OwnerSignal, async})
	}
	return list
}

// SetOwners sets the owners of descriptions, when the tasks exist and before
// they run. An owner that is gone is left out with a warning.
func (s *Set) SetOwners() error {
	for _, o := range s.Owners() {
		fd := s.fds[o.OpenID]
		if o.Signal != 0 {
			if _, err := unix.FcntlInt(uintptr(fd), kabi.F_SETSIG, int(o.Signal)); err != nil {
				return s.about(o.OpenID, fmt.Errorf("F_SETSIG %d: %w", o.Signal, err))
			}
		}
		if o.Pid != 0 {
			err := setOwner(fd, kabi.FOwnerEx{Type: o.Type, Pid: o.Pid})
			if errors.Is(err, unix.ESRCH) {
				s.opt.warnf("%v", s.about(o.OpenID, fmt.Errorf("task %d, which got its signals, is not in the tree", o.Pid)))
			} else if err != nil {
				return s.about(o.OpenID, fmt.Errorf("F_SETOWN_EX %d: %w", o.Pid, err))
			}
		}
		if o.Async {
			if err := addStatus(fd, unix.O_ASYNC); err != nil {
				return s.about(o.OpenID, fmt.Errorf("O_ASYNC: %w", err))
			}
		}
	}
	return nil
}

// settable are the flags that F_SETFL changes, less O_ASYNC.
const settable = unix.O_APPEND | unix.O_NONBLOCK | unix.O_DIRECT | unix.O_NOATIME

// setStatus sets the file status flags of a descriptor to those in flags.
func setStatus(fd int, flags uint32) error {
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFL, int(flags)&settable); err != nil {
		return fmt.Errorf("F_SETFL %#o: %w", flags&settable, err)
	}
	return nil
}

func addStatus(fd, flag int) error {
	have, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_SETFL, have|flag)
	}
	return err
}
