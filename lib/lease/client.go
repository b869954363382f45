package lease

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"floe/lib/record"
)

// ErrOver says that freeze is gone, and the tree runs.
var ErrOver = errors.New("the lease is over: freeze is gone and its tree runs; start the whole pipeline again")

// Client is a stage's end of a lease.
type Client struct {
	fd    int
	pidfd int
	msg   Message
}

// Join fetches the lease's pipe from freeze and says hello.
func Join(l *record.Lease, stage string) (*Client, error) {
	if l == nil || l.Pid <= 0 {
		return nil, fmt.Errorf("the stream names no lease")
	}
	pidfd, err := unix.PidfdOpen(int(l.Pid), 0)
	if err != nil {
		return nil, ErrOver
	}
	start, err := StartTime(int(l.Pid))
	if err != nil || start != l.StartTime {
		unix.Close(pidfd)
		return nil, ErrOver
	}
	fd, err := unix.PidfdGetfd(pidfd, int(l.Fd), 0)
	if err != nil {
		unix.Close(pidfd)
		if errors.Is(err, unix.EPERM) {
			return nil, fmt.Errorf("may not join the lease of freeze (task %d): %w; run every stage as the same user", l.Pid, err)
		}
		return nil, ErrOver
	}
	own, err := StartTime(os.Getpid())
	if err != nil {
		unix.Close(pidfd)
		unix.Close(fd)
		return nil, err
	}
	c := &Client{fd: fd, pidfd: pidfd, msg: Message{PID: os.Getpid(), StartTime: own, Stage: stage}}
	return c, c.Verdict(Hello, "")
}

// Verdict tells freeze how the stage went.
func (c *Client) Verdict(k Kind, text string) error {
	m := c.msg
	m.Kind, m.Text = k, text
	for {
		_, err := unix.Write(c.fd, m.marshal())
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			// Full: freeze reads soon, or is gone.
			p := []unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLOUT}}
			_, _ = unix.Poll(p, -1)
		default:
			return ErrOver
		}
	}
}

// Over tells whether freeze has ended.
func (c *Client) Over() bool {
	p := []unix.PollFd{{Fd: int32(c.pidfd), Events: unix.POLLIN}}
	n, err := unix.Poll(p, 0)
	return err == nil && n > 0
}

// Close leaves the lease.
func (c *Client) Close() {
	unix.Close(c.fd)
	unix.Close(c.pidfd)
}
