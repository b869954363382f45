package inject

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"floe/lib/tracer"
)

// quiet are the signals whose default is to be ignored; SIGCONT does more.
var quiet = []unix.Signal{unix.SIGURG, unix.SIGWINCH, unix.SIGCHLD}

// notifySignal picks a signal that a process ignores, by default or by its
// action: it stops the process for a tracer, and is dropped without one.
func notifySignal(pid tracer.TID) (unix.Signal, error) {
	ignored, caught, err := signalSets(pid)
	if err != nil {
		return 0, err
	}
	for _, s := range quiet {
		if caught>>(s-1)&1 == 0 {
			return s, nil
		}
	}
	for s := unix.Signal(1); s <= 64; s++ {
		if ignored>>(s-1)&1 != 0 && s != unix.SIGTRAP && s != unix.SIGCONT {
			return s, nil
		}
	}
	return 0, fmt.Errorf("task %d: it handles SIGURG, SIGWINCH and SIGCHLD and ignores no signal: floe needs one that it ignores", pid)
}

// signalSets reads SigIgn and SigCgt.
func signalSets(pid tracer.TID) (ignored, caught uint64, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, fmt.Errorf("task %d: %w", pid, err)
	}
	field := func(name string) uint64 {
		_, rest, _ := bytes.Cut(b, []byte("\n"+name+":\t"))
		line, _, _ := bytes.Cut(rest, []byte("\n"))
		v, perr := strconv.ParseUint(string(line), 16, 64)
		if perr != nil {
			err = fmt.Errorf("task %d: %s in /proc/%d/status: %w", pid, name, pid, perr)
		}
		return v
	}
	ignored, caught = field("SigIgn"), field("SigCgt")
	return ignored, caught, err
}
