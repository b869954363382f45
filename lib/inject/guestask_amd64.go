package inject

import (
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/stub"
	"floe/lib/tracer"
)

// Answers are what only a thread itself can ask for.
type Answers struct {
	AltSP, AltSize uint64 // sigaltstack(2)
	AltFlags       uint32
	ClearChildTID  uint64 // PR_GET_TID_ADDRESS
	PdeathSignal   uint32 // PR_GET_PDEATHSIG
	TSC            uint32 // PR_GET_TSC
	SecureBits     uint32 // PR_GET_SECUREBITS
	TimerSlack     uint64 // PR_GET_TIMERSLACK, nanoseconds
	Sum            uint64 // of the calls' results
	Summed         bool   // there was room for them
}

// Where the asking program has its answers, bytes from rbx.
const (
	askStack  = 0  // stack_t: sp, flags, size
	askPdeath = 12 // u32: a gap in stack_t, so that it comes along
	askTID    = 24 // u64
	askTSC    = 32 // u32
	askSecure = 36 // u32
	askSum    = 40 // what the summed calls need
	askRoom   = 4096
)

// prctl(2) numbers that x/sys lacks.
const (
	prGetTIDAddress = 40
	prGetTSC        = 25
)

// askProgram is a program like guestProgram's with its calls built in: it stops
// once, its scratch memory already given back, with the answers in registers.
// A process may have a thousand threads, and each stop costs two switches.
func askProgram(at uint64, pid, tid tracer.TID, notify unix.Signal, mask uint64, sum []stub.Call, own *tracer.Regs) guest {
	g, a, failed := begin(at, notify, mask, askRoom)
	a.mov32(12, 0) // r12: the sum of all that should be 0
	a.mov32(regDI, 0)
	a.ask(unix.SYS_SIGALTSTACK, askStack)
	for _, q := range []struct {
		op uint32
		to byte
	}{{prGetTIDAddress, askTID}, {unix.PR_GET_PDEATHSIG, askPdeath}, {prGetTSC, askTSC}} {
		a.mov32(regDI, q.op)
		a.ask(unix.SYS_PRCTL, q.to)
	}
	a.call(unix.SYS_PRCTL, unix.PR_GET_SECUREBITS)
	a.op(0x89, 0x43, askSecure) // mov %eax, askSecure(%rbx)
	a.call(unix.SYS_PRCTL, unix.PR_GET_TIMERSLACK)
	a.op(0x49, 0x89, 0xc6) // mov %rax, %r14
	a.sum(sum)
	a.op(0x48, 0x8b, 0x6b, askStack)    // mov askStack(%rbx), %rbp: sp
	a.op(0x4c, 0x8b, 0x43, askStack+8)  // %r8: flags, parent death signal
	a.op(0x4c, 0x8b, 0x4b, askStack+16) // %r9: size
	a.op(0x4c, 0x8b, 0x53, askTID)      // %r10
	a.op(0x48, 0x89, 0xdf)              // mov %rbx, %rdi
	a.op(0x4c, 0x89, 0xe3)              // mov %r12, %rbx
	a.op(0x4d, 0x89, 0xec)              // mov %r13, %r12: the sum
	a.op(0x4c, 0x8b, 0x6f, askTSC)      // mov askTSC(%rdi), %r13: TSC mode, secure bits
	a.mov32(regSI, askRoom)
	a.mov32(regAX, unix.SYS_MUNMAP)
	a.op(0x0f, 0x05) // syscall
	a.landFar(failed)
	// Here rbx is 0, or what went wrong.
	g.stops = append(g.stops, at+a.notify(pid, tid, notify))
	a.sigmask(ownMaskAt)
	a.leave(own)
	g.code = a.b
	return g
}

// ask makes a call whose second argument is the address of its answer, and
// adds its result to r12.
func (a *asm) ask(nr uint32, to byte) {
	a.op(0x48, 0x8d, 0x73, to) // lea to(%rbx), %rsi
	a.mov32(regAX, nr)
	a.op(0x0f, 0x05)             // syscall
	a.op(0x4d, 0x8d, 0x24, 0x04) // lea (%r12,%rax), %r12
}

// sum makes calls and has in r13 what they returned, each as a digit: no
// instruction may change a flag, so it multiplies by nine. The registers of
// arguments keep their values from one call to the next.
func (a *asm) sum(calls []stub.Call) {
	a.mov32(13, 0)
	known := map[int]uint64{}
	room := byte(askSum)
	saved := map[uint64]byte{} // of results that are arguments
	for _, c := range calls {
		for _, arg := range c.Args {
			if arg.Kind == stub.Result {
				saved[arg.Val] = 0
			}
		}
	}
	digit := func() {
		a.op(0x4f, 0x8d, 0x6c, 0xed, 0) // lea (%r13,%r13,8), %r13
		a.op(0x4d, 0x8d, 0x6c, 0x05, 0) // lea (%r13,%rax), %r13
	}
	for i, c := range calls {
		var data []byte // offsets
		for j := range argRegs {
			reg, arg := argRegs[j], stub.Arg{}
			if j < len(c.Args) {
				arg = c.Args[j]
			} else if j >= 5 {
				break // no call of five arguments looks at the sixth
			}
			if v, ok := known[reg]; ok && arg.Kind == stub.Imm && v == arg.Val {
				continue
			}
			delete(known, reg)
			switch {
			case arg.Kind == stub.Data:
				a.memory(0x8d, reg, room) // lea
				data, room = append(data, room), room+8
			case arg.Kind == stub.Result:
				a.memory(0x8b, reg, saved[arg.Val]) // mov
			case arg.Val>>32 == 0:
				a.mov32(reg, uint32(arg.Val))
				known[reg] = arg.Val
			default:
				a.mov64(reg, arg.Val)
				known[reg] = arg.Val
			}
		}
		a.mov32(regAX, uint32(c.Nr))
		a.op(0x0f, 0x05)
		if _, wanted := saved[uint64(i)]; wanted {
			a.memory(0x89, regAX, room)
			saved[uint64(i)], room = room, room+8
		}
		digit()
		for _, at := range data {
			a.memory(0x8b, regAX, at)
			digit()
		}
	}
}

// memory is an instruction with a register and at(%rbx).
func (a *asm) memory(op byte, reg int, at byte) {
	a.op(0x48|byte(reg>>3)<<2, op, 0x43|byte(reg&7)<<3, at)
}

// answers takes them out of the registers at the program's stop.
func answers(r *tracer.Regs) (Answers, error) {
	if r.Rbx != 0 {
		return Answers{}, fmt.Errorf("what it should tell of itself it can't: %w", unix.Errno(-int64(r.Rbx)))
	}
	return Answers{
		AltSP: r.Rbp, AltFlags: uint32(r.R8), AltSize: r.R9, PdeathSignal: uint32(r.R8 >> 32), ClearChildTID: r.R10,
		TSC: uint32(r.R13), SecureBits: uint32(r.R13 >> 32), TimerSlack: r.R14, Sum: r.R12,
	}, nil
}
