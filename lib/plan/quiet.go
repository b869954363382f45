package plan

import (
	"maps"
	"slices"

	"golang.org/x/sys/unix"

	"floe/lib/record"
	"floe/lib/stub"
)

// sigIgn is SIG_IGN.
const sigIgn = 1

// Defaults plans the default action of every signal: a puppet inherits from who
// started restore what is to be ignored, and a signal that is ignored ends nobody.
//
// All puppets have them from the first: Actions relies on that.
func Defaults() []stub.Call {
	var calls []stub.Call
	for sig := 1; sig <= 64; sig++ {
		if sig != int(unix.SIGKILL) && sig != int(unix.SIGSTOP) {
			calls = append(calls, action(sig, &record.SigAction{}))
		}
	}
	return calls
}

// Quiet plans the end of the signals that a puppet got from its children, any
// number of them: what is ignored is not kept.
func Quiet(signals []int) []stub.Call {
	var calls []stub.Call
	for _, sig := range signals {
		calls = append(calls, action(sig, &record.SigAction{Handler: sigIgn}), action(sig, &record.SigAction{}))
	}
	return calls
}

// ExitSignals lists the signals that Quiet has to end: those of zombies and
// helpers, which end while a tree is made.
func ExitSignals(tasks []*record.Task, steps []Step) []int {
	ended := slices.ContainsFunc(steps, func(s Step) bool { return s.Helper })
	seen := map[int]bool{int(unix.SIGCHLD): true}
	for _, t := range tasks {
		ended = ended || t.State == record.Task_ZOMBIE
		if t.ExitSignal != 0 && !loud[t.ExitSignal] {
			seen[int(t.ExitSignal)] = true
		}
	}
	if !ended {
		return nil
	}
	return slices.Sorted(maps.Keys(seen))
}
