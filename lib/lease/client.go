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
	fd  int
	msg Message
}

// Join fetches the lease's socket from freeze and says hello.
func Join(l *record.Lease, stage string) (*Client, error) {
	if l == nil || l.Pid <= 0 || l.Fd < 0 {
		return nil, fmt.Errorf("the stream names no lease")
	}
	own, err := StartTime(os.Getpid())
	if err != nil {
		return nil, fmt.Errorf("own start time: %w", err)
	}
	fd, err := fetch(l)
	if err != nil {
		return nil, err
	}
	c := &Client{fd: fd, msg: Message{StartTime: own, Stage: stage}}
	if err := c.Verdict(Hello, ""); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// fetch duplicates the descriptor that the lease names. The stream may be
// anybody's, so the descriptor must prove to be a lease before it is written
// to.
func fetch(l *record.Lease) (int, error) {
	pidfd, err := unix.PidfdOpen(int(l.Pid), 0)
	if err != nil {
		return -1, ErrOver
	}
	defer unix.Close(pidfd)
	start, err := StartTime(int(l.Pid))
	if err != nil || start != l.StartTime {
		return -1, ErrOver
	}
	fd, err := unix.PidfdGetfd(pidfd, int(l.Fd), 0)
	switch {
	case errors.Is(err, unix.EPERM):
		return -1, fmt.Errorf("may not join the lease of freeze (task %d): %w; run every stage as the same user", l.Pid, err)
	case errors.Is(err, unix.ESRCH):
		return -1, ErrOver
	case err != nil:
		return -1, fmt.Errorf("lease: descriptor %d of task %d: %w", l.Fd, l.Pid, err)
	}
	if !isLease(fd, l.Pid) {
		unix.Close(fd)
		return -1, fmt.Errorf("lease: descriptor %d of task %d is no lease; the stream is not of a running freeze", l.Fd, l.Pid)
	}
	return fd, nil
}

// isLease tells whether fd is one of a pair of packet sockets that pid made.
func isLease(fd int, pid int32) bool {
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil || domain != unix.AF_UNIX {
		return false
	}
	typ, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil || typ != unix.SOCK_SEQPACKET {
		return false
	}
	peer, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	return err == nil && peer.Pid == pid
}

// Verdict tells freeze how the stage went.
func (c *Client) Verdict(k Kind, text string) error {
	m := c.msg
	m.Kind, m.Text = k, text
	return c.send(m, nil)
}

// Done is the verdict of a stage that passes on; w is what it has added.
func (c *Client) Done(w Wrote) error {
	m := c.msg
	m.Kind, m.Wrote = Done, w
	return c.send(m, nil)
}

func (c *Client) send(m Message, oob []byte) error {
	b := m.marshal()
	for {
		_, err := unix.SendmsgN(c.fd, b, oob, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
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
	p := []unix.PollFd{{Fd: int32(c.fd)}}
	n, err := unix.Poll(p, 0)
	return err == nil && n > 0 && p[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0
}

// FD is a descriptor that is hung up when the lease is over, for poll(2).
func (c *Client) FD() int { return c.fd }

// Close leaves the lease.
func (c *Client) Close() { unix.Close(c.fd) }
