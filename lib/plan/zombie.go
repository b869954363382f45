package plan

import (
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/record"
	"floe/lib/stub"
)

// harmless are the signals that never end a task.
var harmless = map[unix.Signal]bool{
	unix.SIGCHLD: true, unix.SIGCONT: true, unix.SIGURG: true, unix.SIGWINCH: true,
	unix.SIGSTOP: true, unix.SIGTSTP: true, unix.SIGTTIN: true, unix.SIGTTOU: true,
}

// loud are the exit signals that a puppet can't get from a child that ends: it
// would end or stop itself, or take it for the end of its code.
var loud = map[uint32]bool{uint32(unix.SIGKILL): true, uint32(unix.SIGSTOP): true, uint32(unix.SIGTRAP): true}

// CheckZombie checks that a zombie can be made: with its exit status, and with
// the signal that its end sends.
func CheckZombie(t *record.Task) error {
	if t.State != record.Task_ZOMBIE {
		return nil
	}
	ws := unix.WaitStatus(t.ExitCode)
	switch {
	case loud[t.ExitSignal]:
		return fmt.Errorf("a zombie whose exit signal is %d can't be restored: its parent would get that; have the parent wait for it first", t.ExitSignal)
	case ws.Exited() && t.ExitCode&^0xff00 == 0:
		return nil
	case ws.Signaled() && ws.CoreDump() && t.ExitCode&^0xff == 0:
		// The kernel sets the bit only when it has written a core.
		return fmt.Errorf("a zombie that dumped core can't be restored: only another core gives that status; have its parent wait for it first")
	case ws.Signaled() && t.ExitCode&^0x7f == 0 && ws.Signal() <= 64 && !harmless[ws.Signal()]:
		return nil
	}
	return fmt.Errorf("a zombie of status %#x: no task ends so", t.ExitCode)
}

// Zombie plans the last calls of a puppet that becomes a zombie. One that ends
// by a signal must not dump core: the limit keeps the kernel from writing a
// file, and only the flag from starting a program (core_pattern).
//
// Its parent learns whose it was (waitid(2)): it has its credentials to the end.
func Zombie(t *record.Task, own []*record.Limit, bounding uint64) ([]stub.Call, error) {
	calls := []stub.Call{
		prctl("name", stub.I(unix.PR_SET_NAME), stub.S(t.Comm)),
		rlimit(unix.RLIMIT_CORE, &record.Limit{Max: own[unix.RLIMIT_CORE].Max}),
	}
	if c := t.GetAttrs().GetZombie(); c != nil {
		creds, err := Credentials(c, bounding)
		if err != nil {
			return nil, err
		}
		calls = append(calls, creds...)
	}
	return append(calls, prctl("dumpable", stub.I(unix.PR_SET_DUMPABLE), stub.I(0))), nil
}
