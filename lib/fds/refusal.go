package fds

import "fmt"

// Refusal says that a descriptor is of a sort that can't be saved.
type Refusal struct {
	Pid  int32
	Comm string
	Fd   int32  // -1: not a descriptor, What tells
	What string // "a TCP socket (127.0.0.1:80)"
	Hint string // what the user can do; empty: close it
}

func (r *Refusal) Error() string {
	hint := r.Hint
	if hint == "" {
		hint = "close it first"
	}
	at := ""
	if r.Fd >= 0 {
		at = fmt.Sprintf("fd %d: ", r.Fd)
	}
	return fmt.Sprintf("task %d (%s): %s%s can't be saved yet; %s", r.Pid, r.Comm, at, r.What, hint)
}

// refuse is a Refusal about d.
func (d *desc) refuse(hint, format string, args ...any) error {
	s := d.slots[0]
	return &Refusal{Pid: s.table.task.Pid, Comm: s.table.task.Comm, Fd: s.fd, What: fmt.Sprintf(format, args...), Hint: hint}
}

// refusals is what was refused, as one error of one line.
type refusals []*Refusal

func (r refusals) err() error {
	switch len(r) {
	case 0:
		return nil
	case 1:
		return r[0]
	}
	return fmt.Errorf("%w (and %d more; --verbose tells)", r[0], len(r)-1)
}
