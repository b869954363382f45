package pages

import (
	"os"

	"golang.org/x/sys/unix"
)

const (
	reserveAfter = 16 << 20 // bytes written before any are reserved
	reserveStep  = 64 << 20 // bytes reserved at a time
)

// reserve has the filesystem give a growing file its blocks in large steps.
// Where it looks for them one by one, as it does for every page that a write
// adds to the end, that takes longer than copying the bytes does.
//
// The file is longer than what was written until close: what is behind is
// zeros, which are no record.
type reserve struct {
	fd      int
	on      bool
	written int64 // since it was opened
	at      int64 // where the next write goes
	end     int64 // of what is reserved; 0: nothing is
}

// openReserve looks whether blocks can be reserved for f: it is a regular file
// and written at its end.
func openReserve(f *os.File) reserve {
	r := reserve{fd: int(f.Fd())}
	var st unix.Stat_t
	if err := unix.Fstat(r.fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return r
	}
	// In memory there are no blocks to look for.
	var fs unix.Statfs_t
	if err := unix.Fstatfs(r.fd, &fs); err != nil || fs.Type == unix.TMPFS_MAGIC {
		return r
	}
	// With O_APPEND, what is written would go behind what is reserved.
	if flags, err := unix.FcntlInt(uintptr(r.fd), unix.F_GETFL, 0); err != nil || flags&unix.O_APPEND != 0 {
		return r
	}
	// Past this limit, even to reserve is fatal.
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &limit); err != nil || limit.Cur != unix.RLIM_INFINITY {
		return r
	}
	at, err := unix.Seek(r.fd, 0, unix.SEEK_CUR)
	r.at, r.on = at, err == nil && at == st.Size
	return r
}

// next says that n bytes are about to be written.
func (r *reserve) next(n int64) {
	if !r.on {
		return
	}
	from := max(r.at, r.end)
	r.written += n
	r.at += n
	if r.at <= r.end || r.written < reserveAfter {
		return
	}
	if err := unix.Fallocate(r.fd, 0, from, r.at+reserveStep-from); err != nil {
		r.on = false // it can't, or the disk is full: the write will tell
		return
	}
	r.end = r.at + reserveStep
}

// close gives back what was not written to: the file ends where the next write
// would go.
func (r *reserve) close() error {
	if r.end == 0 {
		return nil
	}
	at, err := unix.Seek(r.fd, 0, unix.SEEK_CUR)
	if err != nil || at >= r.end {
		return err
	}
	return unix.Ftruncate(r.fd, at)
}
