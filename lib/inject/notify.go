package inject

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"floe/lib/procfs"
	"floe/lib/tracer"
)

// quiet are the signals whose default is to be ignored, and whose sending does
// nothing else.
var quiet = []unix.Signal{unix.SIGURG, unix.SIGWINCH, unix.SIGCHLD}

// loud are the ones whose sending has an effect even when they are ignored, or
// that a tracer is told of for other reasons.
var loud = []unix.Signal{unix.SIGCONT, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGTRAP}

// notices lists the signals that a process ignores, by default or by its
// action: such a one stops it for a tracer, and is dropped without one.
func notices(pid tracer.TID) ([]unix.Signal, error) {
	st, err := procfs.ReadStatus(int(pid))
	if err != nil {
		return nil, fmt.Errorf("task %d: %w", pid, err)
	}
	var list []unix.Signal
	for _, s := range quiet {
		if st.SigCgt>>(s-1)&1 == 0 {
			list = append(list, s)
		}
	}
	// A real-time signal is not sent where the process's queue is full.
	const realTime = 32
	for s := unix.Signal(1); s < realTime; s++ {
		if st.SigIgn>>(s-1)&1 != 0 && !slices.Contains(loud, s) && !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list, nil
}

// choose picks a signal that a thread with a mask does not block: while it is
// blocked it is kept, for a sigwait(3) to take or for a handler yet to come,
// and must not be lost. 0: there is none.
func choose(notices []unix.Signal, mask uint64) unix.Signal {
	for _, s := range notices {
		if mask>>(s-1)&1 == 0 {
			return s
		}
	}
	return 0
}
