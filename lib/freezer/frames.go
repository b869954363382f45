package freezer

import (
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/tracer"
)

// A signal handler that interrupted a call of the vDSO returns into it: the
// thread is inside, though it stands elsewhere. Its return address is in the
// signal frame, on the thread's stack or on the one that the signal interrupted.

// maxStack bounds how far up a stack is looked at, bytes: deeper than stacks
// are by default.
const maxStack = 16 << 20

// frames looks for signal frames on the stacks of one process's threads.
type frames struct {
	tid  tracer.TID        // whose memory it is
	seen map[uint64]uint64 // stacks that have been looked at, from, to
	buf  []byte
}

// returnsTo tells whether a handler on a stack, or on one that it interrupted,
// returns to a place that inside tells.
func (f *frames) returnsTo(sp uint64, inside func(pc uint64) bool) bool {
	found := false
	for todo := []uint64{sp}; len(todo) > 0 && !found; {
		sp, todo = todo[0], todo[1:]
		f.scan(sp, func(pc, sp uint64) {
			found = found || inside(pc)
			todo = append(todo, sp)
		})
	}
	return found
}

// scan looks at one stack, up to where its mapping ends.
func (f *frames) scan(sp uint64, frame func(pc, sp uint64)) {
	sp &^= 7
	for from, to := range f.seen {
		if sp >= from && sp < to {
			return
		}
	}
	size := 16 << 10
	at := sp
	for at < sp+maxStack {
		if cap(f.buf) < size {
			f.buf = make([]byte, size)
		}
		b := f.buf[:size]
		n := readSome(f.tid, at, b)
		savedPCs(b[:n], at, frame)
		if n < size {
			at += uint64(n)
			break
		}
		at += uint64(size - frameRoom) // a frame may lie across two blocks
		size = min(4*size, 1<<20)
	}
	f.seen[sp] = at
}

// frameRoom is more than a frame has, bytes.
const frameRoom = 128

// readSome reads memory up to the first page that can't be.
func readSome(tid tracer.TID, at uint64, b []byte) int {
	n := 0
	for n < len(b) {
		// The kernel reads one range after the other, and none of them by half.
		const page = 4096
		var remote []unix.RemoteIovec
		for off := n; off < len(b) && len(remote) < 256; {
			l := min(len(b)-off, page-int((at+uint64(off))%page))
			remote = append(remote, unix.RemoteIovec{Base: uintptr(at) + uintptr(off), Len: l})
			off += l
		}
		local := unix.Iovec{Base: &b[n]}
		local.SetLen(len(b) - n)
		got, err := unix.ProcessVMReadv(int(tid), []unix.Iovec{local}, remote, 0)
		if err != nil || got == 0 {
			break
		}
		n += got
	}
	return n
}

// handlers looks for handlers that return into the vDSO.
func (t *Tree) handlers(p *tracer.Ptrace) error {
	for _, proc := range t.Procs {
		f := &frames{tid: tracer.TID(proc.PID), seen: map[uint64]uint64{}}
		for _, th := range proc.Threads {
			if th.gone {
				continue
			}
			regs, err := p.GetRegs(th.TID)
			if err != nil {
				return err
			}
			if f.returnsTo(stackOf(&regs), proc.inVDSO) {
				return &stuckError{tid: th.TID, comm: comm(th.TID),
					what: fmt.Sprintf("a signal handler of it, at %#x, has interrupted a call of its vDSO and does not return", programCounterOf(&regs))}
			}
		}
	}
	return nil
}
