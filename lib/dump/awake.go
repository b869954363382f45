package dump

import (
	"fmt"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"floe/lib/kabi"
)

// stopSignals stop a process by default: Ctrl-Z, or the terminal of another job.
// A tree is frozen for as long as its tracer is stopped.
var stopSignals = []os.Signal{unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU}

// stayAwake keeps this program from being stopped for longer than a time: it
// ignores the signals that it may ignore, and the kernel sends it a SIGCONT
// against SIGSTOP. It returns the signals that were not ignored before.
func stayAwake(longest time.Duration) (ignored []os.Signal, err error) {
	for _, s := range stopSignals {
		if !signal.Ignored(s) {
			ignored = append(ignored, s)
			signal.Ignore(s)
		}
	}
	const shortest = 50 * time.Millisecond
	if err := kabi.SignalEvery(unix.SIGCONT, max(longest, shortest)); err != nil {
		return nil, fmt.Errorf("timer: %w", err)
	}
	return ignored, nil
}
