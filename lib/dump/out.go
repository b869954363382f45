package dump

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// outlet writes the stream without ever being stuck in a write: a tree is
// frozen meanwhile, and a reader that stalls must not keep it so, nor a signal
// go unheard.
type outlet struct {
	ctx   context.Context
	fd    int
	kind  os.FileMode
	stall time.Duration // how long the reader may take
	wake  int           // eventfd that ctx's end writes to
	stop  func() bool
}

var errStalled = errors.New("nobody has read the stream")

func newOutlet(ctx context.Context, f *os.File, stall time.Duration) (*outlet, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	o := &outlet{ctx: ctx, fd: int(f.Fd()), kind: st.Mode().Type(), stall: stall, wake: wake}
	o.stop = context.AfterFunc(ctx, func() { _, _ = unix.Write(wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) })
	return o, nil
}

func (o *outlet) close() {
	if o.stop() {
		unix.Close(o.wake) // else it is still written to; the process ends soon
	}
}

// Write writes all of b.
func (o *outlet) Write(b []byte) (int, error) {
	done := 0
	for done < len(b) {
		if err := o.await(); err != nil {
			return done, err
		}
		n, err := o.some(b[done:])
		done += max(n, 0)
		if err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			return done, err
		}
	}
	return done, nil
}

// await waits until something can be written.
func (o *outlet) await() error {
	fds := []unix.PollFd{{Fd: int32(o.fd), Events: unix.POLLOUT}, {Fd: int32(o.wake), Events: unix.POLLIN}}
	until := time.Now().Add(o.stall)
	for {
		n, err := unix.Poll(fds, int(time.Until(until).Milliseconds())+1)
		switch {
		case o.ctx.Err() != nil:
			return context.Cause(o.ctx)
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("poll: %w", err)
		case n == 0:
			return fmt.Errorf("%w for %s", errStalled, o.stall)
		case fds[0].Revents&unix.POLLERR != 0:
			return unix.EPIPE
		case fds[0].Revents != 0:
			return nil
		}
	}
}

// some writes what can be written without waiting.
func (o *outlet) some(b []byte) (int, error) {
	switch o.kind {
	case os.ModeNamedPipe:
		// A pipe that poll calls writable takes so much at once, pipe(7).
		const pipeBuf = 4096
		return unix.Write(o.fd, b[:min(len(b), pipeBuf)])
	case os.ModeSocket:
		return unix.SendmsgN(o.fd, b, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	}
	return unix.Write(o.fd, b)
}
