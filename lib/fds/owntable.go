package fds

import (
	"fmt"
	"math"
	"runtime"

	"golang.org/x/sys/unix"
)

// inOwnTable runs f on a thread that has a copy of the process's descriptor
// table to itself, and may use any number in it. The thread ends afterwards.
func inOwnTable(f func() error) error {
	done := make(chan error)
	go ownTableThread(f, done)
	return <-done
}

func ownTableThread(f func() error, done chan error) {
	// Never unlocked: a thread whose goroutine ends locked ends with it.
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// The main thread doesn't end, and other processes see its table as the
		// process's. While it waits here, another one does the work.
		inner := make(chan error)
		go ownTableThread(f, inner)
		err := <-inner
		runtime.UnlockOSThread()
		done <- err
		return
	}
	if err := unix.Unshare(unix.CLONE_FILES); err != nil {
		done <- fmt.Errorf("unshare of the descriptor table: %w", err)
		return
	}
	err := f()
	// Nothing is held by a thread that is slow to end.
	if cerr := unix.CloseRange(0, math.MaxUint32, 0); err == nil && cerr != nil {
		err = fmt.Errorf("close_range: %w", cerr)
	}
	done <- err
}
