package tracer

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// StopKind says what a wait status means.
type StopKind int

// The kinds of a wait status of a traced task, ptrace(2).
const (
	Exited      StopKind = iota // Code is the exit status
	Killed                      // by Signal
	SignalStop                  // Signal is about to be delivered
	GroupStop                   // stopped by job control, Signal tells by which
	EventStop                   // PTRACE_EVENT_STOP after Interrupt, or a newborn
	SyscallStop                 // entry or exit, with OptTraceSysGood
	Event                       // another PTRACE_EVENT_*, in Event
	Continued
)

var kindNames = [...]string{"exited", "killed", "signal stop", "group stop", "event stop", "syscall stop", "event", "continued"}

func (k StopKind) String() string { return kindNames[k] }

// Stop is a decoded wait status.
type Stop struct {
	Kind   StopKind
	Signal unix.Signal // Killed, SignalStop, GroupStop
	Code   int         // Exited: 0 to 255
	Event  int         // PTRACE_EVENT_* of Event
	Core   bool        // Killed with a core dump
}

// GoneError is an ErrTaskGone of a task whose end this thread has seen, and
// waited for.
type GoneError struct {
	TID  TID
	Stop Stop // Exited or Killed
}

func (e *GoneError) Error() string { return fmt.Sprintf("task %d: %v: %s", e.TID, ErrTaskGone, e.Stop) }

func (e *GoneError) Unwrap() error { return ErrTaskGone }

// Gone tells whether the task has ended.
func (s Stop) Gone() bool { return s.Kind == Exited || s.Kind == Killed }

func (s Stop) String() string {
	switch s.Kind {
	case Exited:
		return fmt.Sprintf("exited with status %d", s.Code)
	case Killed:
		return fmt.Sprintf("killed by %s", unix.SignalName(s.Signal))
	case SignalStop, GroupStop:
		return fmt.Sprintf("%s by %s", s.Kind, unix.SignalName(s.Signal))
	case Event:
		return fmt.Sprintf("event %d", s.Event)
	default:
		return s.Kind.String()
	}
}

// DecodeStop decodes the wait status of a seized task.
func DecodeStop(ws unix.WaitStatus) Stop {
	switch {
	case ws.Exited():
		return Stop{Kind: Exited, Code: ws.ExitStatus()}
	case ws.Signaled():
		return Stop{Kind: Killed, Signal: ws.Signal(), Core: ws.CoreDump()}
	case ws.Continued():
		return Stop{Kind: Continued}
	}
	sig := unix.Signal(uint32(ws) >> 8 & 0x7f)
	event := int(uint32(ws) >> 16)
	switch {
	case event == unix.PTRACE_EVENT_STOP && isStopSignal(sig):
		return Stop{Kind: GroupStop, Signal: sig, Event: event}
	case event == unix.PTRACE_EVENT_STOP:
		return Stop{Kind: EventStop, Signal: sig, Event: event}
	case event != 0:
		return Stop{Kind: Event, Signal: sig, Event: event}
	case uint32(ws)>>8&0x80 != 0: // SIGTRAP|0x80: OptTraceSysGood
		return Stop{Kind: SyscallStop, Signal: sig}
	}
	return Stop{Kind: SignalStop, Signal: sig}
}

func isStopSignal(sig unix.Signal) bool {
	switch sig {
	case unix.SIGSTOP, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU:
		return true
	}
	return false
}
