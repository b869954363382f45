package inject

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/stub"
	"floe/lib/tracer"
)

// ErrDisturbed says that a signal came before a guest program could begin. It
// has been delivered, the task is stopped again, with other registers than
// before: read them and try again.
var ErrDisturbed = errors.New("a signal came first")

// Guest is a live process whose threads are all stopped, and room in it for a
// guest program: unused bytes at the end of its vDSO. The process survives the
// tracer's death at any instant.
type Guest struct {
	pid    tracer.TID
	mem    *tracer.Mem
	at     tracer.Addr
	notify unix.Signal
	wrote  bool
}

// NewGuest looks for the room in process pid.
func NewGuest(pid tracer.TID) (*Guest, error) {
	notify, err := notifySignal(pid)
	if err != nil {
		return nil, err
	}
	mem, err := tracer.OpenMem(pid)
	if err != nil {
		return nil, err
	}
	at, err := findTail(pid, mem)
	if err != nil {
		mem.Close()
		return nil, fmt.Errorf("task %d: %w", pid, err)
	}
	return &Guest{pid: pid, mem: mem, at: at, notify: notify}, nil
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

// Run runs calls in a thread, one after another whether they fail or not, and
// gives read what they returned and a way to the data of their arguments. The
// thread is then stopped as it was before. Arguments may not be results of
// other calls.
func (g *Guest) Run(p *tracer.Ptrace, t Thread, calls []stub.Call, read func(results []int64, data func(call, arg int) ([]byte, error)) error) error {
	resumed := resume(t.Regs)
	prog := guestProgram(uint64(g.at), g.pid, t.TID, g.notify, t.Mask, &resumed)
	if len(prog.code) > guestSize {
		return fmt.Errorf("task %d: guest program of %d bytes", t.TID, len(prog.code))
	}
	g.wrote = true
	if err := g.mem.Write(g.at, prog.code); err != nil {
		return err
	}
	regs := t.Regs
	regs.Rip, regs.Orig_rax = prog.entry, ^uint64(0)
	if err := p.SetRegs(t.TID, &regs); err != nil {
		return err
	}
	stop, scratch, err := g.toStop(p, t, prog)
	if err != nil {
		return err
	}
	if stop != 0 {
		return errors.Join(fmt.Errorf("task %d: it could not map %d bytes of scratch memory", t.TID, guestRoom), restore(p, t))
	}
	err = g.fill(p, t, prog, scratch, calls, read)
	if last := g.toLast(p, t, prog); last != nil {
		return errors.Join(err, last)
	}
	return errors.Join(err, restore(p, t))
}

// fill writes the table at the first stop and reads it back at the second.
func (g *Guest) fill(p *tracer.Ptrace, t Thread, prog guest, scratch uint64, calls []stub.Call, read func([]int64, func(int, int) ([]byte, error)) error) error {
	table, err := stub.Encode(calls, nil, scratch+guestTable, guestRoom-guestTable)
	if err != nil {
		return err
	}
	if table.Calls != len(calls) {
		return fmt.Errorf("task %d: %d calls don't fit into its scratch memory", t.TID, len(calls))
	}
	head := binary.LittleEndian.AppendUint64(make([]byte, 0, guestTable+len(table.Bytes)), uint64(len(calls)))
	head = append(head[:guestTable], table.Bytes...)
	if err := tracer.WriteMem(t.TID, tracer.Addr(scratch), head); err != nil {
		return err
	}
	if stop, _, err := g.toStop(p, t, prog); err != nil {
		return err
	} else if stop != 1 {
		return fmt.Errorf("task %d: guest program at stop %d instead of 1", t.TID, stop)
	}
	if err := tracer.ReadMem(t.TID, tracer.Addr(scratch+guestTable), table.Bytes); err != nil {
		return err
	}
	return read(stub.Results(table.Bytes, len(calls)), func(call, arg int) ([]byte, error) {
		at := table.ReadBack(call, arg)
		if at == 0 {
			return nil, fmt.Errorf("argument %d of call %d has no data", arg, call)
		}
		off := at - (scratch + guestTable)
		return table.Bytes[off : off+uint64(len(calls[call].Args[arg].Bytes))], nil
	})
}

// toLast runs the program to its last stop.
func (g *Guest) toLast(p *tracer.Ptrace, t Thread, prog guest) error {
	for range prog.stops {
		stop, _, err := g.toStop(p, t, prog)
		if err != nil {
			return err
		}
		if stop == len(prog.stops)-1 {
			return nil
		}
	}
	return fmt.Errorf("task %d: guest program did not end", t.TID)
}

// restore gives a thread back what it had. At any instant in it, the program
// would do the same by itself.
func restore(p *tracer.Ptrace, t Thread) error {
	if err := p.SetSigMask(t.TID, t.Mask); err != nil {
		return err
	}
	return p.SetRegs(t.TID, &t.Regs)
}

// toStop lets a thread run to the program's next stop and tells which it is,
// and rbx: the scratch memory.
func (g *Guest) toStop(p *tracer.Ptrace, t Thread, prog guest) (int, uint64, error) {
	for {
		if err := p.Cont(t.TID, 0); err != nil {
			return 0, 0, err
		}
		s, err := p.Wait(t.TID)
		if err != nil {
			return 0, 0, err
		}
		if s.Gone() {
			return 0, 0, fmt.Errorf("task %d: %w: %s", t.TID, tracer.ErrTaskGone, s)
		}
		regs, err := p.GetRegs(t.TID)
		if err != nil {
			return 0, 0, err
		}
		if s.Kind != tracer.SignalStop {
			continue // a group stop or a trap that was pending
		}
		if s.Signal == g.notify {
			for i, at := range prog.stops {
				if regs.Rip == at {
					return i, regs.Rbx, nil
				}
			}
			continue // somebody else's, ignored by the process anyway
		}
		if regs.Rip < uint64(g.at) || regs.Rip >= prog.stops[0] {
			return 0, 0, fmt.Errorf("task %d: unexpected %s at %#x in a guest program", t.TID, s, regs.Rip)
		}
		return 0, 0, g.deliver(p, t, s.Signal)
	}
}

// deliver lets a thread have the signal that came before the program began,
// and stops it again.
func (g *Guest) deliver(p *tracer.Ptrace, t Thread, sig unix.Signal) error {
	if err := restore(p, t); err != nil {
		return err
	}
	if err := p.Interrupt(t.TID); err != nil {
		return err
	}
	if err := p.Cont(t.TID, sig); err != nil {
		return err
	}
	if _, err := ToEventStop(p, t.TID); err != nil {
		return err
	}
	return fmt.Errorf("task %d: %w: %s", t.TID, ErrDisturbed, unix.SignalName(sig))
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
		return false, fmt.Errorf("task %d: %w: %s", tid, tracer.ErrTaskGone, s)
	case s.Kind == tracer.EventStop || s.Kind == tracer.GroupStop:
		return true, nil
	case s.Kind == tracer.SignalStop:
		return false, p.Cont(tid, s.Signal)
	}
	return false, p.Cont(tid, 0)
}
