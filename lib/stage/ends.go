package stage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"floe/lib/cli"
	"floe/lib/lease"
)

// checkEnds refuses terminals, and keeps an image from other people's eyes.
func checkEnds(in, out *os.File, log *cli.Logger) error {
	if cli.IsTerminal(in) {
		return cli.Usage(fmt.Errorf("standard input is a terminal; it takes the stream of the stage before"))
	}
	if cli.IsTerminal(out) {
		return cli.Usage(fmt.Errorf("standard output is a terminal; write the stream to a pipe or a file"))
	}
	return Protect(out, log)
}

// Protect makes a regular file that others may read mode 0600, and says so: an
// image holds the secrets of its processes. Where that can't be (some
// filesystems have no modes) it says that. A file of another user is refused: its
// owner may read it whatever its mode.
func Protect(out *os.File, log *cli.Logger) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(out.Fd()), &st); err != nil {
		return fmt.Errorf("standard output: %w", err)
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return nil
	case st.Uid != uint32(os.Geteuid()):
		return fmt.Errorf("standard output is a file of user %d, who could read all that the processes hold; -o FILE makes one that is yours", st.Uid)
	case st.Mode&others == 0:
		return nil
	}
	if err := out.Chmod(0o600); err != nil {
		warn(log, "others can read the file on standard output, which will hold all that the processes hold, and its mode can't be changed: %v", err)
		return nil
	}
	warn(log, "others could read the file on standard output: its mode is 0600 now, but who has it open still reads it (-o FILE makes one that nobody has)")
	return nil
}

// others are the permissions of everybody but the owner.
const others = 0o077

func warn(log *cli.Logger, format string, args ...any) {
	if log != nil {
		log.Warnf(format, args...)
	}
}

// IsPipe tells whether f's reader can be seen to go: a pipe or a socket.
func IsPipe(f *os.File) (bool, error) {
	st, err := f.Stat()
	return err == nil && st.Mode()&(os.ModeNamedPipe|os.ModeSocket) != 0, err
}

func isRegular(f *os.File) (bool, error) {
	st, err := f.Stat()
	return err == nil && st.Mode().IsRegular(), err
}

// persist brings a file and, where it has one, its name to disk.
func (s *run) persist(f *os.File) error {
	if err := s.writeBack(f); err != nil {
		return fmt.Errorf("the image may not be on disk: %w", err)
	}
	if s.file != nil {
		if s.lease.Over() {
			return lease.ErrOver
		}
		return s.file.Commit()
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("the image may not be on disk: %w", err)
	}
	path, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if err != nil {
		return nil
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil // unlinked, or in another mount namespace
	}
	defer dir.Close()
	return syncDirectory(dir)
}

// syncDirectory brings the names in a directory to disk.
func syncDirectory(dir *os.File) error {
	if err := dir.Sync(); err != nil && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("the name of the image may not be on disk: %w", err)
	}
	return nil
}

// writeBack has a file written to disk piece by piece: a slow disk is seen to go
// on. It is no more than a beginning, without the file's size and places.
func (s *run) writeBack(f *os.File) error {
	const piece, ahead = 8 << 20, 4
	st, err := f.Stat()
	if err != nil {
		return err
	}
	for at, next := int64(0), int64(0); at < st.Size(); at += piece {
		for ; next < min(st.Size(), at+ahead*piece); next += piece {
			if err := unix.SyncFileRange(int(f.Fd()), next, piece, unix.SYNC_FILE_RANGE_WRITE); err != nil {
				return notForThis(err)
			}
		}
		if err := unix.SyncFileRange(int(f.Fd()), at, piece, unix.SYNC_FILE_RANGE_WAIT_BEFORE|unix.SYNC_FILE_RANGE_WRITE|unix.SYNC_FILE_RANGE_WAIT_AFTER); err != nil {
			return notForThis(err)
		}
		s.c.Step()
	}
	return nil
}

// notForThis is err, unless it says that a file is not one of those that can do
// this.
func notForThis(err error) error {
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.ESPIPE) {
		return nil
	}
	return err
}

// errMore is an input that goes on after its end.
var errMore = cli.BadInput(errors.New("more came after the end of the input"))

// linger waits until the lease is over, or the stage before is gone, or the next.
func linger(in, out *os.File, l *lease.Client) error {
	fds := []unix.PollFd{{Fd: int32(in.Fd()), Events: unix.POLLIN}, {Fd: int32(out.Fd())}, {Fd: int32(l.FD())}}
	for {
		if _, err := unix.Poll(fds, -1); errors.Is(err, unix.EINTR) {
			continue
		} else if err != nil {
			return fmt.Errorf("poll: %w", err)
		}
		if fds[1].Revents != 0 || fds[2].Revents != 0 && fds[0].Revents == 0 {
			return nil
		}
		if fds[0].Revents == 0 {
			continue
		}
		var b [1]byte
		n, err := unix.Read(int(in.Fd()), b[:])
		switch {
		case errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN):
		case n > 0:
			return errMore
		default:
			return nil // the end; how the stage before ended matters no more
		}
	}
}
