package fds

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"floe/lib/record"
)

// fileLocks saves the locks that the tree holds through a description. fdinfo
// shows those of fcntl(F_SETLK) with the descriptors of the table that owns
// them only, the others with every descriptor.
func (c *collector) fileLocks(d *desc) error {
	type held struct {
		table      uint64
		kind       record.FileLock_Kind
		start, len uint64
	}
	seen := map[held]bool{}
	for _, s := range d.slots {
		for _, l := range c.held[s] {
			lock, err := parseLock(l.value)
			var sort lockSort
			if errors.As(err, &sort) {
				return d.refuse("", "%s on %s", string(sort), d.link)
			} else if err != nil {
				return err
			}
			lock.OpenId = s.id()
			if lock.Kind == record.FileLock_POSIX {
				lock.FilesId, lock.Fd = s.table.id, s.fd
			} else {
				lock.Pid = 0
			}
			key := held{lock.FilesId, lock.Kind, lock.Start, lock.Len}
			if !seen[key] {
				seen[key] = true
				c.locks = append(c.locks, lock)
			}
		}
	}
	return nil
}

// lockSort is the error for a lock of a sort that can't be saved.
type lockSort string

func (l lockSort) Error() string { return string(l) + " can't be saved" }

// parseLock parses a lock as fdinfo and /proc/locks show it:
//
//	1: POSIX  ADVISORY  WRITE 12345 08:01:1234 0 EOF
func parseLock(s string) (*record.FileLock, error) {
	f := strings.Fields(s)
	if len(f) != 8 {
		return nil, fmt.Errorf("fdinfo: lock %q is malformed", s)
	}
	l := &record.FileLock{}
	switch f[1] {
	case "POSIX", "ACCESS":
		l.Kind = record.FileLock_POSIX
	case "FLOCK":
		l.Kind = record.FileLock_FLOCK
	case "OFDLCK":
		l.Kind = record.FileLock_OFD
	case "LEASE", "DELEG":
		return nil, lockSort("a lease (F_SETLEASE)")
	default:
		return nil, lockSort(fmt.Sprintf("a lock of sort %s", f[1]))
	}
	if f[2] == "MANDATORY" {
		return nil, lockSort("a mandatory lock")
	}
	switch f[3] {
	case "READ":
	case "WRITE":
		l.Exclusive = true
	default:
		return nil, fmt.Errorf("fdinfo: lock %q: its type is unknown", s)
	}
	start, err := strconv.ParseUint(f[6], 10, 63)
	if err != nil {
		return nil, fmt.Errorf("fdinfo: lock %q: %w", s, err)
	}
	pid, err := strconv.ParseInt(f[4], 10, 32)
	if err != nil {
		return nil, fmt.Errorf("fdinfo: lock %q: %w", s, err)
	}
	l.Start, l.Pid = start, int32(pid)
	if f[7] == "EOF" {
		return l, nil
	}
	end, err := strconv.ParseUint(f[7], 10, 63)
	if err != nil || end < start || end == math.MaxInt64 {
		return nil, fmt.Errorf("fdinfo: lock %q: its end is malformed", s)
	}
	l.Len = end - start + 1
	return l, nil
}

// LockOp is an fcntl(F_SETLK) that a task with a descriptor table must do: such
// locks belong to the table. It must come after the last close(2) of any
// other descriptor of the same file, which would drop the lock.
type LockOp struct {
	FilesID uint64
	Pid     int32 // of the task that took it
	Fd      int32
	Type    int16 // F_RDLCK, F_WRLCK
	Start   int64
	Len     int64 // 0: to the end
}

// Locks lists the locks that tasks must take. Locks of descriptions have been
// taken by Open.
func (s *Set) Locks() []LockOp {
	var list []LockOp
	for _, l := range s.im.FileLocks {
		if l.Kind == record.FileLock_POSIX {
			list = append(list, LockOp{l.FilesId, l.Pid, l.Fd, lockType(l), int64(l.Start), int64(l.Len)})
		}
	}
	return list
}

func lockType(l *record.FileLock) int16 {
	if l.Exclusive {
		return unix.F_WRLCK
	}
	return unix.F_RDLCK
}

// takeLocks takes the locks that belong to descriptions.
func (s *Set) takeLocks() error {
	for _, l := range s.im.FileLocks {
		fd, ok := s.fds[l.OpenId]
		if !ok {
			return fmt.Errorf("a lock belongs to open file %d, which is not in the image", l.OpenId)
		}
		if l.Start > math.MaxInt64 || l.Len > math.MaxInt64 {
			return s.about(l.OpenId, fmt.Errorf("a lock is out of range"))
		}
		var err error
		switch l.Kind {
		case record.FileLock_POSIX:
			err = s.free(fd, l)
		case record.FileLock_FLOCK:
			how := unix.LOCK_SH
			if l.Exclusive {
				how = unix.LOCK_EX
			}
			err = unix.Flock(fd, how|unix.LOCK_NB)
		case record.FileLock_OFD:
			err = unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &unix.Flock_t{Type: lockType(l), Start: int64(l.Start), Len: int64(l.Len)})
		default:
			err = fmt.Errorf("sort %d is unknown", l.Kind)
		}
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
			err = fmt.Errorf("another process has locked the file since")
		}
		if err != nil {
			return s.about(l.OpenId, fmt.Errorf("lock: %w", err))
		}
	}
	return nil
}

// free makes sure that nobody has a lock that a task will take.
func (s *Set) free(fd int, l *record.FileLock) error {
	lk := unix.Flock_t{Type: lockType(l), Start: int64(l.Start), Len: int64(l.Len)}
	if err := unix.FcntlFlock(uintptr(fd), unix.F_GETLK, &lk); err != nil {
		return err
	}
	if lk.Type != unix.F_UNLCK {
		return fmt.Errorf("task %d has locked the file since", lk.Pid)
	}
	return nil
}
