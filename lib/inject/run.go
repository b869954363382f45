package inject

import (
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/stub"
	"floe/lib/tracer"
)

// CallError says which call of a list failed, and how.
type CallError struct {
	TID   tracer.TID
	Index int // of the call in the list
	What  string
	Errno unix.Errno
}

func (e *CallError) Error() string {
	return fmt.Sprintf("task %d: %s: %s", e.TID, e.What, e.Errno.Error())
}

func (e *CallError) Unwrap() error { return e.Errno }

// maxErrno is the largest errno that a system call returns negated.
const maxErrno = 4095

// Run runs calls in a stopped puppet, one table after another until all are
// done, and returns what each call returned. It stops at the first call that
// fails and isn't marked MayFail: a *CallError.
func (a *Arena) Run(p *tracer.Ptrace, tid tracer.TID, calls []stub.Call) ([]int64, error) {
	results, _, err := a.run(p, tid, calls)
	return results, err
}

// RunRead is Run for a list that fits into one table; it then reads back the
// data of argument arg of call i of the list.
func (a *Arena) RunRead(p *tracer.Ptrace, tid tracer.TID, calls []stub.Call, i, arg int) ([]int64, []byte, error) {
	results, last, err := a.run(p, tid, calls)
	if err != nil {
		return results, nil, err
	}
	b := make([]byte, len(calls[i].Args[arg].Bytes))
	return results, b, tracer.ReadMem(tid, tracer.Addr(last.ReadBack(i, arg)), b)
}

func (a *Arena) run(p *tracer.Ptrace, tid tracer.TID, calls []stub.Call) (done []int64, last *stub.Table, err error) {
	for len(done) < len(calls) {
		t, err := stub.Encode(calls[len(done):], done, a.table(), a.tableRoom)
		if err != nil {
			return done, nil, err
		}
		if err := tracer.WriteMem(tid, tracer.Addr(a.table()), t.Bytes); err != nil {
			return done, nil, err
		}
		index, err := a.runTable(p, tid, t.Calls)
		if err != nil {
			return done, nil, err
		}
		failed := index < t.Calls
		if failed {
			t.Calls = index + 1
		}
		entries := make([]byte, stub.EntryBytes(t.Calls))
		if err := tracer.ReadMem(tid, tracer.Addr(a.table()), entries); err != nil {
			return done, nil, err
		}
		done, last = append(done, stub.Results(entries, t.Calls)...), t
		if failed {
			i := len(done) - 1
			return done, t, &CallError{tid, i, calls[i].What, unix.Errno(-done[i])}
		}
	}
	return done, last, nil
}

// runTable runs the table that stands in the table room; it returns the index
// of the entry that failed, or n.
func (a *Arena) runTable(p *tracer.Ptrace, tid tracer.TID, n int) (int, error) {
	regs := tableRegs(a.Base+a.code.Table, a.table(), n)
	got, err := runToTrap(p, tid, &regs)
	if err != nil {
		return 0, err
	}
	index := tableIndex(&got)
	if index > uint64(n) {
		return 0, fmt.Errorf("task %d: table stub stopped at entry %d of %d", tid, index, n)
	}
	return int(index), nil
}

// callAt runs one system call through a syscall instruction that a trap
// follows.
func callAt(p *tracer.Ptrace, tid tracer.TID, at uint64, nr uint64, args ...uint64) (int64, error) {
	regs := callRegs(at, nr, args)
	got, err := runToTrap(p, tid, &regs)
	if err != nil {
		return 0, err
	}
	res := callResult(&got)
	if res >= -maxErrno && res < 0 {
		return 0, unix.Errno(-res)
	}
	return res, nil
}

// runToTrap lets a puppet run from regs to its next trap. Stops that tell of
// newborn children are passed over: the newborns are stopped themselves.
func runToTrap(p *tracer.Ptrace, tid tracer.TID, regs *tracer.Regs) (tracer.Regs, error) {
	if err := p.SetRegs(tid, regs); err != nil {
		return tracer.Regs{}, err
	}
	for {
		if err := p.Cont(tid, 0); err != nil {
			return tracer.Regs{}, err
		}
		s, err := p.Wait(tid)
		if err != nil {
			return tracer.Regs{}, err
		}
		switch {
		case s.Gone():
			return tracer.Regs{}, fmt.Errorf("task %d: %w: %s", tid, tracer.ErrTaskGone, s)
		case s.Kind == tracer.SignalStop && s.Signal == unix.SIGTRAP:
			return p.GetRegs(tid)
		case s.Kind == tracer.SignalStop:
			got, _ := p.GetRegs(tid)
			return got, fmt.Errorf("task %d: unexpected %s at %#x in floe's own code", tid, s, pc(&got))
		}
	}
}
