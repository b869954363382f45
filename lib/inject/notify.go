package inject

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"

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
	ignored, caught, err := signalSets(pid)
	if err != nil {
		return nil, err
	}
	var list []unix.Signal
	for _, s := range quiet {
		if caught>>(s-1)&1 == 0 {
			list = append(list, s)
		}
	}
	for s := unix.Signal(1); s <= 64; s++ {
		if ignored>>(s-1)&1 != 0 && !slices.Contains(loud, s) && !slices.Contains(list, s) {
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

// signalSets reads SigIgn and SigCgt.
func signalSets(pid tracer.TID) (ignored, caught uint64, err error) {
	b, err := procfs.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
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
