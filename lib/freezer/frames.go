package freezer

import (
	"fmt"
	"slices"
	"sort"

	"golang.org/x/sys/unix"

	"floe/lib/tracer"
	"floe/lib/vdso"
)

// A signal handler that interrupted a call of the vDSO returns into it: the
// thread is inside, though it stands elsewhere. Its return address is in the
// signal frame, on the thread's stack or on the one that the signal interrupted.

// maxStack bounds how far up a stack is looked at, bytes: deeper than stacks
// are by default.
const maxStack = 16 << 20

// frames looks for signal frames on the stacks of one process's threads.
type frames struct {
	tid  tracer.TID  // whose memory it is
	seen []vdso.Span // what has been looked at, in order and apart from each other
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

// scan looks at one stack, up to where its mapping ends, or to where another has
// been looked at: many threads may have their stacks in one mapping.
func (f *frames) scan(sp uint64, frame func(pc, sp uint64)) {
	sp &^= 7
	next := sort.Search(len(f.seen), func(i int) bool { return f.seen[i].End > sp })
	end, known := sp+maxStack, false
	if next < len(f.seen) {
		if f.seen[next].Start <= sp {
			return
		}
		if start := f.seen[next].Start; start < end {
			end, known = start, true
		}
	}
	at := f.look(sp, end, frame)
	if known && at >= end {
		f.seen[next].Start = sp
		return
	}
	f.seen = slices.Insert(f.seen, next, vdso.Span{Start: sp, End: max(at, sp+1)})
}

// look looks at a stack from sp to end, and returns where it ends.
func (f *frames) look(sp, end uint64, frame func(pc, sp uint64)) uint64 {
	size := 16 << 10
	at := sp
	for at < end {
		if cap(f.buf) < size {
			f.buf = make([]byte, size)
		}
		b := f.buf[:min(uint64(size), end+frameRoom-at)]
		n := readSome(f.tid, at, b)
		savedPCs(b[:n], at, frame)
		if n < len(b) {
			return at + uint64(n)
		}
		at += uint64(len(b) - frameRoom) // a frame may lie across two blocks
		size = min(4*size, 1<<20)
	}
	return at
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
		f := &frames{tid: tracer.TID(proc.PID)}
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
