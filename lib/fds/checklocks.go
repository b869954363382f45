package fds

import (
	"fmt"
	"math"
	"strings"

	"golang.org/x/sys/unix"

	"floe/lib/image"
	"floe/lib/procfs"
	"floe/lib/record"
)

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
