package fds

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"floe/lib/image"
	"floe/lib/procfs"
	"floe/lib/record"
	"floe/lib/stub"
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
			}
			key := held{lock.FilesId, lock.Kind, lock.Start, lock.Len}
			if seen[key] {
				continue
			}
			seen[key] = true
			if lock.Kind != record.FileLock_POSIX {
				c.taker(d, lock)
			}
			c.locks = append(c.locks, lock)
		}
	}
	return nil
}

// taker finds a descriptor by which the process that took a lock of a description
// can take it again: /proc/locks shows its number. Locks of open file descriptions
// (F_OFD_SETLK) have none.
func (c *collector) taker(d *desc, l *record.FileLock) {
	pid := l.Pid
	l.Pid = 0
	if l.Kind != record.FileLock_FLOCK {
		return
	}
	for _, t := range c.tree.Tasks {
		if t.Pid != pid || t.State == record.Task_ZOMBIE {
			continue
		}
		for _, s := range d.slots {
			if s.table.id == t.FilesId && s.id() == l.OpenId {
				l.Pid, l.FilesId, l.Fd = pid, t.FilesId, s.fd
				return
			}
		}
	}
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

// recordLock plans an fcntl(F_SETLK) that a task must do: such locks belong to a
// descriptor table. It must come after the last close(2) of any other descriptor
// of the same file, which would drop the lock.
func recordLock(l *record.FileLock) stub.Call {
	b := make([]byte, 32) // struct flock, whence SEEK_SET
	binary.LittleEndian.PutUint16(b, uint16(lockType(l)))
	binary.LittleEndian.PutUint64(b[8:], l.Start)
	binary.LittleEndian.PutUint64(b[16:], l.Len)
	return stub.Call{What: "lock of fd", Of: number(l.Fd), Nr: unix.SYS_FCNTL, Args: []stub.Arg{stub.I(l.Fd), stub.I(unix.F_SETLK), stub.D(b)}}
}

// wholeLock plans a flock(2) by the process that took it.
func wholeLock(l *record.FileLock) stub.Call {
	return stub.Call{What: "flock of fd", Of: number(l.Fd), Nr: unix.SYS_FLOCK, Args: []stub.Arg{stub.I(l.Fd), stub.I(flockHow(l) | unix.LOCK_NB)}}
}

func flockHow(l *record.FileLock) int {
	if l.Exclusive {
		return unix.LOCK_EX
	}
	return unix.LOCK_SH
}

// Locks plans the locks that processes must take, by pid: each those that it took,
// if it has the descriptor table still, or else the first that has. Open has taken
// those whose taker doesn't matter.
func (s *Set) Locks() map[int32]iter.Seq[stub.Call] {
	takers := map[int32][]*record.FileLock{}
	first := map[uint64]int32{} // by files_id
	for _, t := range s.im.Tasks {
		if _, ok := first[t.FilesId]; !ok && t.State != record.Task_ZOMBIE {
			first[t.FilesId] = t.Pid
		}
	}
	for _, l := range s.im.FileLocks {
		if l.Kind == record.FileLock_OFD || l.Kind == record.FileLock_FLOCK && l.Pid == 0 {
			continue
		}
		pid := l.Pid
		if t := s.im.Task(pid); t == nil || t.State == record.Task_ZOMBIE || t.FilesId != l.FilesId {
			pid = first[l.FilesId]
		}
		takers[pid] = append(takers[pid], l)
	}
	by := map[int32]iter.Seq[stub.Call]{}
	for pid, list := range takers {
		by[pid] = func(yield func(stub.Call) bool) {
			for _, l := range list {
				c := recordLock(l)
				if l.Kind == record.FileLock_FLOCK {
					c = wholeLock(l)
				}
				if !yield(c) {
					return
				}
			}
		}
	}
	return by
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
			err = unix.Flock(fd, flockHow(l)|unix.LOCK_NB)
			if l.Pid != 0 && err == nil { // it can be had
				err = unix.Flock(fd, unix.LOCK_UN)
			}
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

// CheckLocks looks whether others have locked what the tree had locked, by what
// /proc/locks shows: no file is opened, and no lock taken.
func CheckLocks(im *image.Image, report func(error) error) error {
	if len(im.FileLocks) == 0 {
		return nil
	}
	b, err := procfs.ReadFile("/proc/locks")
	if err != nil {
		return err
	}
	theirs := map[string][]heldLock{} // by file, as /proc/locks names it
	for line := range strings.Lines(string(b)) {
		if l, err := parseLock(line); err == nil {
			f := strings.Fields(line)
			theirs[f[5]] = append(theirs[f[5]], heldLock{l, f[4]})
		}
	}
	for _, l := range im.FileLocks {
		f := im.File(im.OpenFile(l.OpenId).GetPath().GetFileId())
		var st unix.Stat_t
		if f == nil || unix.Lstat(string(f.Path), &st) != nil {
			continue // CheckFiles says so
		}
		for _, t := range theirs[fmt.Sprintf("%02x:%02x:%d", unix.Major(st.Dev), unix.Minor(st.Dev), st.Ino)] {
			if !conflict(l, t.FileLock) {
				continue
			}
			if err := report(about(im, l.OpenId, fmt.Errorf("lock: %s: task %s has locked it", f.Path, t.pid))); err != nil {
				return err
			}
			break
		}
	}
	return nil
}

// heldLock is a lock that somebody has.
type heldLock struct {
	*record.FileLock
	pid string // as /proc/locks has it; of an open file description, -1
}

// conflict tells whether two locks of different owners can't both be had.
func conflict(a, b *record.FileLock) bool {
	if !a.Exclusive && !b.Exclusive || (a.Kind == record.FileLock_FLOCK) != (b.Kind == record.FileLock_FLOCK) {
		return false
	}
	return a.Start < lockEnd(b) && b.Start < lockEnd(a)
}

// lockEnd is the first byte after a lock.
func lockEnd(l *record.FileLock) uint64 {
	if l.Len == 0 {
		return math.MaxUint64
	}
	return l.Start + l.Len
}
