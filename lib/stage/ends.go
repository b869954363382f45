package stage

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"floe/lib/cli"
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

// Protect makes a regular file that others may read mode 0600: an image holds
// the secrets of its processes.
func Protect(out *os.File, log *cli.Logger) error {
	st, err := out.Stat()
	if err != nil {
		return fmt.Errorf("standard output: %w", err)
	}
	if !st.Mode().IsRegular() || st.Mode().Perm()&0o077 == 0 {
		return nil
	}
	if err := out.Chmod(0o600); err != nil {
		return fmt.Errorf("standard output can be read by others, and can't be made private: %w", err)
	}
	if log != nil {
		log.Verbosef("made the image readable by its owner only: it holds what the processes hold")
	}
	return nil
}

// IsPipe tells whether f's reader can be seen to go: a pipe or a socket.
func IsPipe(f *os.File) bool {
	st, err := f.Stat()
	return err == nil && st.Mode()&(os.ModeNamedPipe|os.ModeSocket) != 0
}

// linger waits until the lease is over: the stage before is gone, or the next.
func linger(in, out *os.File) error {
	fds := []unix.PollFd{{Fd: int32(in.Fd()), Events: unix.POLLIN}, {Fd: int32(out.Fd())}}
	b := make([]byte, 4096)
	for {
		if _, err := unix.Poll(fds, -1); err == unix.EINTR {
			continue
		} else if err != nil {
			return fmt.Errorf("poll: %w", err)
		}
		if fds[1].Revents&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0 {
			return nil
		}
		if fds[0].Revents != 0 {
			n, err := unix.Read(int(in.Fd()), b)
			if err == unix.EINTR || err == unix.EAGAIN {
				continue
			}
			if n > 0 {
				return cli.BadInput(fmt.Errorf("more came after the end of the input"))
			}
			return nil
		}
	}
}
