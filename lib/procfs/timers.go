package procfs

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// Timer is one of a process's POSIX timers.
type Timer struct {
	ID     int
	Signo  int
	Sigval uint64
	Notify int // SIGEV_* less SIGEV_THREAD_ID's bit
	TID    int // whom it notifies: a thread with Thread, else the process
	Thread bool
	Clock  int
}

// ParseTimers parses the contents of /proc/PID/timers.
func ParseTimers(b []byte) ([]Timer, error) {
	var out []Timer
	for line := range bytes.Lines(b) {
		name, value, ok := strings.Cut(strings.TrimSpace(string(line)), ":")
		if !ok {
			return nil, fmt.Errorf("timers: line %q", line)
		}
		value = strings.TrimSpace(value)
		if name == "ID" {
			out = append(out, Timer{})
		}
		if len(out) == 0 {
			return nil, fmt.Errorf("timers: line %q before any ID", line)
		}
		if err := out[len(out)-1].set(name, value); err != nil {
			return nil, fmt.Errorf("timers: line %q: %w", line, err)
		}
	}
	return out, nil
}

// notifies are the names of SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD.
var notifies = map[string]int{"signal": 0, "none": 1, "thread": 2}

func (t *Timer) set(name, value string) (err error) {
	switch name {
	case "ID":
		t.ID, err = strconv.Atoi(value)
	case "ClockID":
		t.Clock, err = strconv.Atoi(value)
	case "signal": // number/value
		sig, val, _ := strings.Cut(value, "/")
		if t.Signo, err = strconv.Atoi(sig); err == nil {
			t.Sigval, err = strconv.ParseUint(strings.TrimPrefix(val, "0x"), 16, 64)
		}
	case "notify": // signal/pid.7 or signal/tid.7
		how, whom, _ := strings.Cut(value, "/")
		n, ok := notifies[how]
		if !ok {
			return fmt.Errorf("unknown way to notify")
		}
		kind, id, _ := strings.Cut(whom, ".")
		t.Notify, t.Thread = n, kind == "tid"
		t.TID, err = strconv.Atoi(id)
	}
	return err
}

// ReadTimers reads a process's POSIX timers.
func ReadTimers(pid int) ([]Timer, error) {
	b, err := read(pid, "timers")
	if err != nil {
		return nil, err
	}
	l, err := ParseTimers(b)
	if err != nil {
		return nil, fmt.Errorf("/proc/%d/%w", pid, err)
	}
	return l, nil
}
