package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// input reads a pipe, or what else may keep its reader waiting, until a context
// ends.
type input struct {
	ctx  context.Context
	file *os.File
	wake int // eventfd: the context has ended
}

// interruptible is in as it is to be read.
func interruptible(ctx context.Context, in *os.File) (io.Reader, error) {
	if st, err := in.Stat(); err == nil && st.Mode().IsRegular() {
		return in, nil
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	context.AfterFunc(ctx, func() { _, _ = unix.Write(wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) })
	return &input{ctx, in, wake}, nil
}

func (in *input) Read(b []byte) (int, error) {
	p := []unix.PollFd{{Fd: int32(in.file.Fd()), Events: unix.POLLIN}, {Fd: int32(in.wake), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(p, -1)
		if n > 0 && p[1].Revents != 0 {
			return 0, context.Cause(in.ctx)
		}
		if n > 0 {
			return in.file.Read(b)
		}
		if err != nil && err != unix.EINTR {
			return 0, fmt.Errorf("poll: %w", err)
		}
	}
}
