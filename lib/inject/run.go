package inject

import (
	"fmt"
	"iter"

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
		t := a.empty(len(done), done)
		if err := t.Fill(calls[len(done):]); err != nil {
			return done, nil, err
		}
		entries, failed, err := a.runTable(p, tid, t, true)
		if err != nil {
			return done, nil, err
		}
		n := t.Calls
		if failed != nil {
			n = failed.Index + 1
		}
		first := len(done)
		done, last = append(done, stub.Results(entries, n)...), t
		if failed != nil {
			failed.Index += first
			return done, t, failed
		}
	}
	return done, last, nil
}

// empty is the arena's one table, for what follows after ran calls: what a table
// has set aside for its calls serves the next one.
func (a *Arena) empty(ran int, done []int64) *stub.Table {
	if a.scratch == nil {
		a.scratch = stub.NewTable(a.table(), a.tableRoom)
	}
	a.scratch.Reset(ran, done)
	return a.scratch
}

// RunSeq is Run for calls that are made as they are used, so that any number of
// them needs no more memory than one table. Nobody learns what they return:
// none has an argument that is the result of another.
func (a *Arena) RunSeq(p *tracer.Ptrace, tid tracer.TID, lists ...iter.Seq[stub.Call]) error {
	t, ran := a.empty(0, nil), 0
	flush := func() error {
		_, failed, err := a.runTable(p, tid, t, false)
		if failed != nil {
			failed.Index += ran
			return failed
		}
		ran += t.Calls
		t.Reset(ran, nil)
		return err
	}
	for _, calls := range lists {
		for c := range calls {
			fits, err := t.Add(&c)
			if err == nil && !fits {
				if err = flush(); err == nil {
					_, err = t.Add(&c)
				}
			}
			if err != nil {
				return err
			}
		}
	}
	if t.Calls == 0 {
		return nil
	}
	return flush()
}

// runTable runs one table, and tells which of its calls failed. It reads the
// entries back where results are wanted or needed.
func (a *Arena) runTable(p *tracer.Ptrace, tid tracer.TID, t *stub.Table, results bool) (entries []byte, failed *CallError, err error) {
	if err := tracer.WriteMem(tid, tracer.Addr(a.table()), t.Bytes()); err != nil {
		return nil, nil, err
	}
	n, err := a.runEntries(p, tid, t.Calls)
	if err != nil {
		return nil, nil, err
	}
	stopped := n < t.Calls
	if stopped {
		n++ // its result, too
	}
	if !results && !stopped && !t.Excuses() {
		return nil, nil, nil
	}
	entries = t.Bytes()[:stub.EntryBytes(n)]
	if err := tracer.ReadMem(tid, tracer.Addr(a.table()), entries); err != nil {
		return nil, nil, err
	}
	i := t.Unexcused(entries, n)
	if i < 0 && stopped {
		i = n - 1
	}
	if i < 0 {
		return entries, nil, nil
	}
	return entries, &CallError{tid, i, t.Name(i), unix.Errno(-stub.ResultAt(entries, i))}, nil
}

// runEntries runs the n entries that stand in the table room; it returns the
// index of the one that failed, or n.
func (a *Arena) runEntries(p *tracer.Ptrace, tid tracer.TID, n int) (int, error) {
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
	if res >= -stub.MaxErrno && res < 0 {
		return 0, unix.Errno(-res)
	}
	return res, nil
}

// runToTrap lets a puppet run from regs to its next trap. Stops that are none of
// its own doing are passed over.
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
			return tracer.Regs{}, &tracer.GoneError{TID: tid, Stop: s}
		case s.Kind == tracer.SignalStop && s.Signal == unix.SIGTRAP:
			return p.GetRegs(tid)
		case s.Kind == tracer.SignalStop:
			got, _ := p.GetRegs(tid)
			return got, fmt.Errorf("task %d: unexpected %s at %#x in floe's own code", tid, s, pc(&got))
		}
	}
}
