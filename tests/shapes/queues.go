package shapes

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"floe/lib/tracer"
)

// told is as much of a siginfo_t as means something.
const told = 48

// takeQueues adds the pending signals of every task that has some, with all
// that came with them. The tasks are stopped for a moment.
func (w *worker) takeQueues(p picture) error {
	for _, pid := range processes() {
		for _, tid := range numbersIn(fmt.Sprintf("/proc/%d/task", pid)) {
			if !pending(tid) || stateOf(tid) == 'D' || stateOf(tid) == 'Z' {
				continue
			}
			if err := w.takeQueue(p, tracer.TID(tid)); err != nil && !errors.Is(err, tracer.ErrTaskGone) {
				return err
			}
		}
	}
	return nil
}

func pending(tid int) bool {
	status := readProc(fmt.Sprintf("/proc/%d/status", tid))
	for _, name := range []string{"SigPnd", "ShdPnd"} {
		if !bytes.Contains(status, []byte("\n"+name+":\t0000000000000000")) {
			return true
		}
	}
	return false
}

func (w *worker) takeQueue(p picture, tid tracer.TID) error {
	stopped := stateOf(int(tid)) == 'T'
	return w.tracer.Do(func(pt *tracer.Ptrace) error {
		if err := pt.Seize(tid, 0); err != nil {
			return err
		}
		if err := pt.Interrupt(tid); err != nil {
			return err
		}
		if s, err := pt.Wait(tid); err != nil || s.Gone() {
			return err
		}
		for _, shared := range []bool{false, true} {
			q, err := pt.PeekSigInfo(tid, shared)
			if err != nil {
				return err
			}
			// The kernel gives the lowest signal first, wherever it stands; of one
			// number, those that came first.
			slices.SortStableFunc(q, func(a, b [tracer.SigInfoSize]byte) int { return int(a[0]) - int(b[0]) })
			kept := 0
			for _, info := range q {
				if stopped && info[0] == byte(unix.SIGCHLD) {
					continue // see normal.go
				}
				p[fmt.Sprintf("%d signal %d, shared %t", tid, kept, shared)] = fmt.Sprintf("%x", info[:told])
				kept++
			}
		}
		return pt.Detach(tid, 0)
	})
}
