package inject

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"floe/lib/stub"
	"floe/lib/tracer"
)

// Guest is a live process whose threads are all stopped, and room in it for a
// guest program: unused bytes at the end of its vDSO. The process survives the
// tracer's death at any instant.
type Guest struct {
	pid     tracer.TID
	mem     *tracer.Mem
	at      tracer.Addr
	room    int           // bytes
	notices []unix.Signal // signals that it ignores
	wrote   bool
	lost    bool // a thread may be in the program, and finds its way out by itself
}

// NewGuest looks for the room in process pid.
func NewGuest(pid tracer.TID) (*Guest, error) {
	notices, err := notices(pid)
	if err != nil {
		return nil, err
	}
	mem, err := tracer.OpenMem(pid)
	if err != nil {
		return nil, err
	}
	at, room, left, err := findTail(pid, mem)
	if err != nil {
		mem.Close()
		return nil, fmt.Errorf("task %d: %w", pid, err)
	}
	return &Guest{pid: pid, mem: mem, at: at, room: room, notices: notices, wrote: left}, nil
}

// Close takes the program out of the process, all of whose threads must be in
// a stop outside of it. After a visit that could not be undone it stays: the
// next freeze takes it away.
func (g *Guest) Close() error {
	var err error
	if g.wrote && !g.lost {
		err = g.mem.Write(g.at, make([]byte, g.room))
	}
	return errors.Join(err, g.mem.Close())
}

// Thread is a stopped thread of a guest: what it has to get back.
type Thread struct {
	TID  tracer.TID
	Regs tracer.Regs
	Mask uint64 // blocked signals
}

// Run runs calls in a thread, one after another whether they fail or not, and
// gives read what they returned and a way to the data of their arguments. The
// thread must be in an event stop or a stop for a signal; it is then in such a
// stop again, as it was before. Arguments may not be results of other calls.
//
// No signal is delivered meanwhile. The order of the requests matters, since
// this process may be killed between any two:
//
//  1. write the program: nobody runs there
//  2. SETREGS to its first instruction: from here on the task, let go by the
//     kernel, finds its way back by itself
//  3. SETSIGMASK to all: nothing comes before the first instruction; the
//     program ends with the task's own mask
//  4. stops: table in, results out, and at the last one 3 and 2 backwards
//
// Where there is no room for the scratch memory that all the calls need, near a
// limit of the process, they are run in parts.
func (g *Guest) Run(p *tracer.Ptrace, t Thread, calls []stub.Call, read func(results []int64, data func(call, arg int) ([]byte, error)) error) error {
	results, data, err := g.run(p, t, calls)
	if err != nil {
		return err
	}
	return read(results, data)
}

// dataFunc gives the data of an argument of a call.
type dataFunc func(call, arg int) ([]byte, error)

func (g *Guest) run(p *tracer.Ptrace, t Thread, calls []stub.Call) ([]int64, dataFunc, error) {
	v := &visit{Thread: t, p: p, notify: choose(g.notices, t.Mask), room: roomFor(calls), stop: -1}
	v.prog = guestProgram(uint64(g.at), g.pid, t.TID, v.notify, t.Mask, v.room, &t.Regs)
	err := g.visit(v, func() error { return v.work(calls) })
	var short *scratchError
	if half := len(calls) / 2; errors.As(err, &short) && half > 0 && v.room > scratchPage {
		first, firstData, err := g.run(p, t, calls[:half])
		if err != nil {
			return nil, nil, err
		}
		second, secondData, err := g.run(p, t, calls[half:])
		return append(first, second...), func(call, arg int) ([]byte, error) {
			if call < half {
				return firstData(call, arg)
			}
			return secondData(call-half, arg)
		}, err
	}
	return v.results, v.data, err
}

// scratchError says that a task has no room for a guest program's memory.
type scratchError struct {
	room  uint32
	errno unix.Errno
}

func (e *scratchError) Error() string {
	return fmt.Sprintf("it could not map %d bytes of scratch memory: %v; raise its limits of address space, data and locked memory, or vm.max_map_count", e.room, e.errno)
}

func (e *scratchError) Unwrap() error { return e.errno }

// Ask lets a thread tell what only it can, in the manner of Run. It also makes the
// calls of sum, whose results become one number (Answers.Sum): of two threads that
// have the same, each call returned the same; of an argument's data the first
// eight bytes count. An argument may be the result of another call of sum. Where
// there is no room for so many there is no number.
func (g *Guest) Ask(p *tracer.Ptrace, t Thread, sum ...stub.Call) (Answers, error) {
	v := &visit{Thread: t, p: p, notify: choose(g.notices, t.Mask), stop: -1}
	program := func() { v.prog = askProgram(uint64(g.at), g.pid, t.TID, v.notify, t.Mask, sum, &t.Regs) }
	if program(); len(v.prog.code) > g.room {
		sum = nil
		program()
	}
	var a Answers
	err := g.visit(v, func() error {
		regs, err := v.toStop()
		if err == nil {
			a, err = answers(&regs)
			a.Summed = len(sum) > 0
		}
		return err
	})
	return a, err
}

// scratchPage is the least scratch memory, bytes.
const scratchPage = 4096

// roomFor bounds the scratch memory that calls need, bytes.
func roomFor(calls []stub.Call) uint32 {
	const page, align = scratchPage, 16
	n := guestTable + stub.EntryBytes(len(calls)) + align
	spare := uint32(0)
	for _, c := range calls {
		for _, a := range c.Args {
			n += (len(a.Bytes) + align - 1) &^ (align - 1)
			if a.Kind == stub.Spare && (len(calls) > 1 || a.Val == stub.Untouched) {
				spare = page
			}
		}
	}
	return uint32(n+page-1)&^(page-1) + spare
}

// placed are calls with the address of the spare page, the last one of the
// scratch memory.
func placed(calls []stub.Call, spare uint64) []stub.Call {
	out := slices.Clone(calls)
	for i := range out {
		for j, a := range out[i].Args {
			if a.Kind == stub.Spare {
				out[i].Args = slices.Clone(out[i].Args)
				out[i].Args[j] = stub.I(spare)
			}
		}
	}
	return out
}

// fill writes the table at the first stop, runs it, and reads it at the
// second.
func (v *visit) fill(scratch uint64, calls []stub.Call) error {
	table, err := stub.Encode(placed(calls, scratch+uint64(v.room)-scratchPage), nil, scratch+guestTable, int(v.room)-guestTable)
	if err != nil {
		return err
	}
	if table.Calls != len(calls) {
		return fmt.Errorf("%d calls don't fit into its scratch memory", len(calls))
	}
	b := table.Bytes()
	head := binary.LittleEndian.AppendUint64(make([]byte, 0, guestTable+len(b)), uint64(len(calls)))
	head = append(head[:guestTable], b...)
	if err := tracer.WriteMem(v.TID, tracer.Addr(scratch), head); err != nil {
		return err
	}
	if _, err := v.toStop(); err != nil {
		return err
	} else if v.stop != 1 {
		return fmt.Errorf("guest program at stop %d instead of 1", v.stop)
	}
	if err := tracer.ReadMem(v.TID, tracer.Addr(scratch+guestTable), b); err != nil {
		return err
	}
	v.results = stub.Results(b, len(calls))
	v.data = func(call, arg int) ([]byte, error) {
		at := table.ReadBack(call, arg)
		if at == 0 {
			return nil, fmt.Errorf("argument %d of call %d has no data", arg, call)
		}
		off := at - (scratch + guestTable)
		return b[off : off+uint64(len(calls[call].Args[arg].Bytes))], nil
	}
	return nil
}

// ToEventStop waits until an interrupted task is in its event stop, or in
// group stop. What stops it on the way is its own business: signals are
// delivered, calls that make tasks go on.
func ToEventStop(p *tracer.Ptrace, tid tracer.TID) (tracer.Stop, error) {
	for {
		s, err := p.Wait(tid)
		if err != nil {
			return s, err
		}
		done, err := TowardsEventStop(p, tid, s)
		if done || err != nil {
			return s, err
		}
	}
}

// TowardsEventStop handles one stop of ToEventStop; done says that it was the
// one waited for.
func TowardsEventStop(p *tracer.Ptrace, tid tracer.TID, s tracer.Stop) (done bool, err error) {
	switch {
	case s.Gone():
		return false, &tracer.GoneError{TID: tid, Stop: s}
	case s.Kind == tracer.EventStop || s.Kind == tracer.GroupStop:
		return true, nil
	}
	// Any stop takes back the request for the event stop that was pending.
	if err := p.Interrupt(tid); err != nil {
		return false, err
	}
	if s.Kind == tracer.SignalStop {
		return false, p.Cont(tid, s.Signal)
	}
	return false, p.Cont(tid, 0)
}
