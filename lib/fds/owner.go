package fds

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"floe/lib/kabi"
	"floe/lib/record"
)

// settings saves what fcntl(2) sets of any description, whatever its kind.
func (c *collector) settings(d *desc) error {
	switch {
	case d.info.flags&unix.O_PATH != 0:
		return nil
	case d.rec.GetExternal() == nil:
	case d.info.flags&unix.O_ASYNC != 0:
		return d.refuse("switch O_ASYNC off first", "%s, whose signals (O_ASYNC) would not come from what restore gives for it,", d.link)
	default:
		return nil
	}
	fd, err := c.dup(d)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := c.writeHint(d, fd); err != nil {
		return err
	}
	return c.owner(d, fd)
}

// owner saves which task gets the signals of a description, and which signal
// (F_SETOWN, F_SETSIG, O_ASYNC).
func (c *collector) owner(d *desc, fd int) error {
	o, err := getOwner(fd)
	if err != nil {
		return fmt.Errorf("F_GETOWN_EX: %w", err)
	}
	sig, err := unix.FcntlInt(uintptr(fd), kabi.F_GETSIG, 0)
	if err != nil {
		return fmt.Errorf("F_GETSIG: %w", err)
	}
	var uids [2]uint32
	err = fcntl(fd, kabi.F_GETOWNER_UIDS, &uids)
	if err != nil && !errors.Is(err, unix.EINVAL) { // without CONFIG_CHECKPOINT_RESTORE
		return fmt.Errorf("F_GETOWNER_UIDS: %w", err)
	}
	if err := c.ownedByTree(d, &o); err != nil {
		return err
	}
	if d.format() == unix.S_IFDIR && (o.Pid != 0 || sig != 0) {
		// F_NOTIFY sets the owner, and nothing shows what else it has set.
		return d.refuse("close it first, or drop its owner (F_SETOWN 0, F_SETSIG 0)", "a directory that may be watched with F_NOTIFY (%s)", d.link)
	}
	d.rec.Owner, d.rec.OwnerType, d.rec.OwnerSignal = o.Pid, o.Type, int32(sig)
	d.rec.OwnerUid, d.rec.OwnerEuid = uids[0], uids[1]
	if o.Type == kabi.F_OWNER_PGRP {
		d.rec.Owner = -o.Pid
	}
	if byFcntl(d.rec) {
		return c.asyncNumber(d)
	}
	return nil
}

// ownedByTree makes sure that an owner is a task or a group of the tree. One that
// has ended gets no signals, and is none: kernels before 5.12 still give its
// number.
func (c *collector) ownedByTree(d *desc, o *kabi.FOwnerEx) error {
	if o.Pid == 0 {
		return nil
	}
	for _, t := range c.tree.Tasks {
		switch o.Type {
		case kabi.F_OWNER_PGRP:
			if t.Pgid == o.Pid {
				return nil
			}
		case kabi.F_OWNER_PID:
			if t.Pid == o.Pid {
				return nil
			}
		default:
			if slices.Contains(t.Tids, o.Pid) {
				return nil
			}
		}
	}
	pid, what := int(o.Pid), fmt.Sprintf("task %d (%s)", o.Pid, commOf(int(o.Pid)))
	if o.Type == kabi.F_OWNER_PGRP {
		pid, what = -pid, fmt.Sprintf("process group %d", o.Pid)
	}
	if errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
		o.Pid = 0
		return nil
	}
	return d.refuse("change its owner (F_SETOWN) or close it first", "%s, whose signals go to %s, outside of the tree,", d.link, what)
}

// asyncNumber saves the descriptor number that the signals of a description tell
// (si_fd): the one by which O_ASYNC was switched on. The kernel doesn't show it,
// so it must be the only number that the description has.
func (c *collector) asyncNumber(d *desc) error {
	d.rec.AsyncFd = d.slots[0].fd
	for _, s := range d.slots {
		if s.fd != d.rec.AsyncFd && d.rec.OwnerSignal != 0 {
			return d.refuse("close one of them first", "%s, which is open as %d too: its signals (F_SETSIG) tell one of the two numbers, and the kernel doesn't show which: it",
				d.link, s.fd)
		}
	}
	return nil
}

// owned tells whether a description differs from a new one in its signals.
func owned(o *record.OpenFile) bool {
	return o.Owner != 0 || o.OwnerType != 0 || o.OwnerUid != 0 || o.OwnerEuid != 0 || o.OwnerSignal != 0 || byFcntl(o)
}

// byFcntl tells whether O_ASYNC is switched on when the tasks are there. Files
// and devices send no signals, and have it from their open(2).
func byFcntl(o *record.OpenFile) bool { return o.Flags&unix.O_ASYNC != 0 && o.GetPath() == nil }

// SetOwners sets the owners of descriptions, when the tasks exist and before
// they run.
func (s *Set) SetOwners() error {
	var list []*record.OpenFile
	top := int32(stderr)
	for _, id := range s.im.OpenOrder {
		if o := s.im.OpenFile(id); o.GetExternal() == nil && owned(o) {
			list = append(list, o)
			top = max(top, o.AsyncFd)
		}
	}
	if len(list) == 0 {
		return nil
	}
	return inOwnTable(func() error {
		high := make([]int, len(list)) // out of the way of the numbers that are needed
		for i, o := range list {
			var err error
			if high[i], err = unix.FcntlInt(uintptr(s.fds[o.OpenId]), unix.F_DUPFD_CLOEXEC, int(top)+1); err != nil {
				return s.about(o.OpenId, fmt.Errorf("dup above %d: %w; raise the limit of open files (ulimit -n)", top, err))
			}
		}
		for i, o := range list {
			if err := s.setOwner(high[i], o); err != nil {
				return s.about(o.OpenId, err)
			}
		}
		return nil
	})
}

func (s *Set) setOwner(fd int, o *record.OpenFile) error {
	if o.OwnerSignal != 0 {
		if _, err := unix.FcntlInt(uintptr(fd), kabi.F_SETSIG, int(o.OwnerSignal)); err != nil {
			return fmt.Errorf("F_SETSIG %d: %w", o.OwnerSignal, err)
		}
	}
	owner := kabi.FOwnerEx{Type: o.OwnerType, Pid: max(o.Owner, -o.Owner)}
	if owner.Type == kabi.F_OWNER_PGRP && owner.Pid != 0 {
		var err error
		if owner.Pid, err = s.group(owner.Pid); err != nil {
			return err
		}
	}
	if err := setOwnerAs(fd, owner, o.OwnerUid, o.OwnerEuid); err != nil {
		return fmt.Errorf("F_SETOWN_EX %d as user %d: %w", owner.Pid, o.OwnerEuid, err)
	}
	if !byFcntl(o) {
		return nil
	}
	if err := unix.Dup3(fd, int(o.AsyncFd), unix.O_CLOEXEC); err != nil {
		return fmt.Errorf("dup3: %w; raise the limit of open files (ulimit -n)", err)
	}
	if err := addStatus(int(o.AsyncFd), unix.O_ASYNC); err != nil {
		return fmt.Errorf("O_ASYNC: %w", err)
	}
	return nil
}

// group is the number that a process group of the image has here: another one
// where it was a group of the caller's.
func (s *Set) group(pgid int32) (int32, error) {
	for _, t := range s.im.Tasks {
		if t.Pgid == pgid {
			now, err := unix.Getpgid(int(t.Pid))
			if err != nil {
				return 0, fmt.Errorf("process group of task %d: %w", t.Pid, err)
			}
			return int32(now), nil
		}
	}
	return 0, fmt.Errorf("process group %d, which got its signals, is not in the image", pgid)
}

// setOwnerAs sets an owner as a user does it: the kernel notes the users of the
// thread that calls, by which it decides later whether a signal may be sent. They
// are those of this thread for that long; an owner that is gone is set and dropped.
func setOwnerAs(fd int, o kabi.FOwnerEx, uid, euid uint32) error {
	ruid, reuid := uint32(unix.Getuid()), uint32(unix.Geteuid())
	if uid != ruid || euid != reuid {
		dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
		if err != nil {
			return err
		}
		if err := setThreadUsers(uid, euid, reuid); err != nil {
			return err
		}
		defer func() {
			_ = setThreadUsers(ruid, reuid, reuid)
			_ = unix.Prctl(unix.PR_SET_DUMPABLE, uintptr(dumpable), 0, 0, 0)
		}()
	}
	if o.Pid == 0 && (uid != 0 || euid != 0) {
		if err := setOwner(fd, kabi.FOwnerEx{Type: kabi.F_OWNER_TID, Pid: int32(unix.Gettid())}); err != nil {
			return err
		}
	}
	return setOwner(fd, o)
}

// setThreadUsers is setresuid(2) for this thread alone, which must be locked.
func setThreadUsers(real, effective, saved uint32) error {
	_, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(real), uintptr(effective), uintptr(saved))
	if errno != 0 {
		return errno
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
