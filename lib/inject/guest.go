package inject

import (
	"encoding/binary"
	"errors"
	"fmt"

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
	notices []unix.Signal // signals that it ignores
	wrote   bool
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
	at, left, err := findTail(pid, mem)
	if err != nil {
		mem.Close()
		return nil, fmt.Errorf("task %d: %w", pid, err)
	}
	return &Guest{pid: pid, mem: mem, at: at, notices: notices, wrote: left}, nil
}

// Close takes the program out of the process, all of whose threads must be in
// a stop outside of it.
func (g *Guest) Close() error {
	var err error
	if g.wrote {
		err = g.mem.Write(g.at, make([]byte, guestSize))
	}
	return errors.Join(err, g.mem.Close())
}

// Thread is a stopped thread of a guest: what it has to get back.
type Thread struct {
	TID  tracer.TID
	Regs tracer.Regs
	Mask uint64 // blocked signals
}

// visit is one run of a program in a thread.
type visit struct {
	Thread
	p      *tracer.Ptrace
	prog   guest
	notify unix.Signal // 0: its system calls are watched
	room   uint32      // scratch memory, bytes

	results []int64 // of the calls
	data    dataFunc
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
	v := &visit{Thread: t, p: p, notify: choose(g.notices, t.Mask), room: roomFor(calls)}
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
	return fmt.Sprintf("it could not map %d bytes of scratch memory: %v; raise its limits of address space and data, or vm.max_map_count", e.room, e.errno)
}

func (e *scratchError) Unwrap() error { return e.errno }

// Ask lets a thread tell what only it can, in the manner of Run.
func (g *Guest) Ask(p *tracer.Ptrace, t Thread) (Answers, error) {
	v := &visit{Thread: t, p: p, notify: choose(g.notices, t.Mask)}
	v.prog = askProgram(uint64(g.at), g.pid, t.TID, v.notify, t.Mask, &t.Regs)
	var a Answers
	err := g.visit(v, func() error {
		_, regs, err := v.toStop(-1)
		if err == nil {
			a, err = answers(&regs)
		}
		return err
	})
	return a, err
}

// visit runs a program: work takes it to its last stop.
func (g *Guest) visit(v *visit, work func() error) error {
	if len(v.prog.code) > guestSize {
		return fmt.Errorf("task %d: guest program of %d bytes", v.TID, len(v.prog.code))
	}
	g.wrote = true
	if err := g.mem.Write(g.at, v.prog.code); err != nil {
		return err
	}
	if err := v.enter(); err != nil {
		return err
	}
	err := work()
	if errors.Is(err, tracer.ErrTaskGone) {
		return err
	}
	return errors.Join(err, v.restore())
}

// work runs the program up to its last stop.
func (v *visit) work(calls []stub.Call) error {
	stop, regs, err := v.toStop(-1)
	if err != nil {
		return err
	}
	last := len(v.prog.stops) - 1
	if stop == last {
		return &scratchError{v.room, unix.Errno(-int64(guestScratch(&regs)))}
	}
	err = v.fill(guestScratch(&regs), calls)
	for stop < last {
		var serr error
		if stop, _, serr = v.toStop(stop); serr != nil {
			return serr
		}
	}
	return err
}

// scratchPage is the least scratch memory, bytes.
const scratchPage = 4096

// roomFor bounds the scratch memory that calls need, bytes.
func roomFor(calls []stub.Call) uint32 {
	const page, align = scratchPage, 16
	n := guestTable + stub.EntryBytes(len(calls)) + align
	for _, c := range calls {
		for _, a := range c.Args {
			n += (len(a.Bytes) + align - 1) &^ (align - 1)
		}
	}
	return uint32(n+page-1) &^ (page - 1)
}

// enter switches the thread to the program.
func (v *visit) enter() error {
	regs := v.Regs
	setPC(&regs, v.prog.entry)
	if err := v.p.SetRegs(v.TID, &regs); err != nil {
		return err
	}
	return v.p.SetSigMask(v.TID, blockAllBut(v.notify))
}

// fill writes the table at the first stop, runs it, and reads it at the
// second.
func (v *visit) fill(scratch uint64, calls []stub.Call) error {
	table, err := stub.Encode(calls, nil, scratch+guestTable, int(v.room)-guestTable)
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
	if stop, _, err := v.toStop(0); err != nil {
		return err
	} else if stop != 1 {
		return fmt.Errorf("guest program at stop %d instead of 1", stop)
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

// restore gives the thread back what it had, at the last stop. At any instant
// in it, the program would do the same by itself.
func (v *visit) restore() error {
	if v.notify == 0 {
		// A stop at a system call is no place from where the kernel would make
		// the thread's own call again.
		if err := v.p.Interrupt(v.TID); err != nil {
			return err
		}
		if err := v.p.Cont(v.TID, 0); err != nil {
			return err
		}
		if _, err := ToEventStop(v.p, v.TID); err != nil {
			return err
		}
	}
	if err := v.p.SetSigMask(v.TID, v.Mask); err != nil {
		return err
	}
	return v.p.SetRegs(v.TID, &v.Regs)
}

// toStop lets the thread run to the program's next stop after number last, and
// tells which it is, and the registers there.
func (v *visit) toStop(last int) (int, tracer.Regs, error) {
	var sig unix.Signal
	for {
		if err := v.resume(sig); err != nil {
			return 0, tracer.Regs{}, err
		}
		s, err := v.p.Wait(v.TID)
		if err != nil {
			return 0, tracer.Regs{}, err
		}
		sig = 0
		switch {
		case s.Gone():
			return 0, tracer.Regs{}, &tracer.GoneError{TID: v.TID, Stop: s}
		case s.Kind == tracer.SignalStop && s.Signal == unix.SIGSTOP:
			sig = s.Signal // nothing blocks it; the group stop that follows ends with the thaw
			continue
		case s.Kind == tracer.SignalStop && s.Signal != v.notify && s.Signal != unix.SIGTRAP:
			return 0, tracer.Regs{}, fmt.Errorf("unexpected %s in a guest program", s)
		case v.notify != 0 && s.Kind != tracer.SignalStop:
			continue // a group stop, or a trap that was pending
		}
		regs, err := v.p.GetRegs(v.TID)
		if err != nil {
			return 0, regs, err
		}
		for i, at := range v.prog.stops {
			if pc(&regs) == at && i > last {
				return i, regs, nil
			}
		}
		// Somebody else's signal, which the process ignores anyway; or another
		// system call.
	}
}

func (v *visit) resume(sig unix.Signal) error {
	if v.notify == 0 {
		return v.p.Syscall(v.TID, sig)
	}
	return v.p.Cont(v.TID, sig)
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
