package inject

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"floe/lib/tracer"
)

// guestMagic begins a guest program, so that one that was left behind by a
// freeze that was killed can be told from bytes that are somebody's.
var guestMagic = [8]byte{'F', 'L', 'O', 'E', 'g', 's', 't', '1'}

// The scratch memory of a guest program: a count, then a table (package stub),
// its data behind it.
const guestTable = 16 // offset of the table, bytes

// guestSize is the room that a guest program must have, guestMost what one takes
// where there is more; bytes.
const (
	guestSize = 640
	guestMost = 1024
)

// guestProgram builds the code that runs in a live task, at address at:
//
//	rt_sigprocmask   block all but the notify signal
//	mmap             scratch memory: rbx
//	notify           stop 0: the tracer fills in the table
//	the calls of the table
//	notify           stop 1: the tracer reads the results
//	munmap
//	notify           stop 2: the tracer sets the task's own registers
//	rt_sigprocmask   the task's own mask
//	all registers to what they were; jump to where it was
//
// It is whole by itself: without a tracer the notify signal is dropped, the
// table is empty, and the task goes on as if nothing had been. It uses no
// stack, and none of its instructions changes a flag, so the task's own rsp and
// eflags are in place all the time, also for a handler that runs between the
// last two steps.
//
// A task that stands in an interrupted system call keeps rax and orig_rax when
// it is switched to the program, so that it stays the kernel's business whether
// the call is made again or ends with EINTR for a handler that runs first: the
// kernel then sets rip back by the two bytes of a system call instruction, or
// doesn't. So the program has two entries with two bytes between them, and two
// ways out.
func guestProgram(at uint64, pid, tid tracer.TID, notify unix.Signal, mask uint64, room uint32, own *tracer.Regs) guest {
	g, a, failed := begin(at, notify, mask, room)
	g.stops = append(g.stops, at+a.notify(pid, tid, notify))
	a.op(0x4c, 0x8b, 0x23)              // mov (%rbx), %r12: calls to make
	a.op(0x4c, 0x8d, 0x6b, guestTable)  // lea guestTable(%rbx), %r13
	loop := len(a.b)                    //
	a.op(0x4c, 0x89, 0xe1)              // mov %r12, %rcx
	done := a.jrcxz()                   //
	a.op(0x49, 0x8b, 0x7d, 8)           // mov 8(%r13), %rdi
	a.op(0x49, 0x8b, 0x75, 16)          // mov 16(%r13), %rsi
	a.op(0x49, 0x8b, 0x55, 24)          // mov 24(%r13), %rdx
	a.op(0x4d, 0x8b, 0x55, 32)          // mov 32(%r13), %r10
	a.op(0x4d, 0x8b, 0x45, 40)          // mov 40(%r13), %r8
	a.op(0x4d, 0x8b, 0x4d, 48)          // mov 48(%r13), %r9
	a.op(0x49, 0x8b, 0x45, 0)           // mov 0(%r13), %rax
	a.op(0x0f, 0x05)                    // syscall
	a.op(0x49, 0x89, 0x45, 64)          // mov %rax, 64(%r13)
	a.op(0x4d, 0x8d, 0x6d, 80)          // lea 80(%r13), %r13
	a.op(0x4d, 0x8d, 0x64, 0x24, 0xff)  // lea -1(%r12), %r12
	a.op(0xeb, byte(loop-(len(a.b)+2))) // jmp loop
	a.land(done)
	g.stops = append(g.stops, at+a.notify(pid, tid, notify))
	a.munmap(room)
	a.landFar(failed)
	g.stops = append(g.stops, at+a.notify(pid, tid, notify))
	a.sigmask(ownMaskAt)
	a.leave(own)
	g.code = a.b
	return g
}

// Where a program keeps its masks, bytes from its start.
const (
	allMaskAt = 8
	ownMaskAt = 16
)

// begin is the beginning of a program, up to where scratch memory is in rbx.
// The jump that it returns is taken when there is none.
func begin(at uint64, notify unix.Signal, mask uint64, room uint32) (guest, *asm, int) {
	a := &asm{b: append([]byte(nil), guestMagic[:]...)}
	a.data(blockAllBut(notify))
	a.data(mask)
	g := guest{entry: at + uint64(len(a.b)) + syscallSize}
	a.op(0xeb, 8)  // the call is to be made again: jmp to the second mov
	a.mov32(15, 0) // it is not: r15 is 0
	a.op(0xeb, 6)  // jmp over the next
	a.mov32(15, 1) // r15 is 1
	a.sigmask(allMaskAt)
	a.call(unix.SYS_MMAP, 0, uint64(room), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS, ^uint64(0), 0)
	a.op(0x48, 0x89, 0xc3)       // mov %rax, %rbx
	a.op(0x48, 0x99)             // cqo: rdx is -1 for an error
	a.op(0x48, 0x8d, 0x4a, 0x01) // lea 1(%rdx), %rcx
	return g, a, a.jrcxzFar()
}

// munmap gives the scratch memory back.
func (a *asm) munmap(room uint32) {
	a.op(0x48, 0x89, 0xdf)          // mov %rbx, %rdi
	a.mov32(regSI, room)            //
	a.mov32(regAX, unix.SYS_MUNMAP) //
	a.op(0x0f, 0x05)                // syscall
}

// leave gives the registers back and jumps to where the task was.
func (a *asm) leave(own *tracer.Regs) {
	a.most(own)
	again, onward := resume(*own)
	a.op(0x4c, 0x89, 0xf9) // mov %r15, %rcx
	plain := a.jrcxz()
	a.out(&again)
	a.land(plain)
	a.out(&onward)
}

// most sets all registers but those that out sets.
func (a *asm) most(own *tracer.Regs) {
	for _, r := range []struct {
		reg int
		v   uint64
	}{
		{regDX, own.Rdx}, {regBX, own.Rbx}, {regBP, own.Rbp}, {regSI, own.Rsi}, {regDI, own.Rdi}, {8, own.R8}, {9, own.R9},
		{10, own.R10}, {11, own.R11}, {12, own.R12}, {13, own.R13}, {14, own.R14},
	} {
		a.mov64(r.reg, r.v)
	}
}

// out sets the last three registers and jumps.
func (a *asm) out(r *tracer.Regs) {
	a.mov64(regCX, r.Rcx)
	a.mov64(15, r.R15)
	a.mov64(regAX, r.Rax)
	a.op(0xff, 0x25, 0, 0, 0, 0) // jmp *0(%rip)
	a.data(r.Rip)
}

// guest is a guest program: its code, where it begins, and the instructions
// that follow its stops.
type guest struct {
	code  []byte
	entry uint64
	stops []uint64
}

// syscallSize is the length of a system call instruction, bytes.
const syscallSize = 2

// blockAllBut is a signal mask; 0 for sig blocks all.
func blockAllBut(sig unix.Signal) uint64 {
	if sig == 0 {
		return ^uint64(0)
	}
	return ^uint64(1 << (sig - 1))
}

// Register numbers, as instructions encode them.
const (
	regAX = iota
	regCX
	regDX
	regBX
	regSP
	regBP
	regSI
	regDI
)

// asm collects instructions.
type asm struct{ b []byte }

func (a *asm) op(b ...byte) { a.b = append(a.b, b...) }

// data puts eight bytes and returns their offset.
func (a *asm) data(v uint64) int {
	a.b = binary.LittleEndian.AppendUint64(a.b, v)
	return len(a.b) - 8
}

func (a *asm) mov64(reg int, v uint64) {
	a.op(0x48|byte(reg>>3), 0xb8|byte(reg&7))
	a.data(v)
}

// mov32 sets a register to a zero-extended 32-bit value.
func (a *asm) mov32(reg int, v uint32) {
	if reg >= 8 {
		a.op(0x41)
	}
	a.op(0xb8 | byte(reg&7))
	a.b = binary.LittleEndian.AppendUint32(a.b, v)
}

// argRegs are a system call's arguments, in order.
var argRegs = []int{regDI, regSI, regDX, 10, 8, 9}

// call makes a system call with constant arguments.
func (a *asm) call(nr uint32, args ...uint64) {
	for i, v := range args {
		if v>>32 == 0 {
			a.mov32(argRegs[i], uint32(v))
		} else {
			a.mov64(argRegs[i], v)
		}
	}
	a.mov32(regAX, nr)
	a.op(0x0f, 0x05)
}

// sigmask sets the signal mask to the eight bytes at offset at.
func (a *asm) sigmask(at int) {
	a.op(0x48, 0x8d, 0x35) // lea at(%rip), %rsi
	a.b = binary.LittleEndian.AppendUint32(a.b, uint32(int32(at-(len(a.b)+4))))
	a.mov32(regDI, 2) // SIG_SETMASK
	a.mov32(regDX, 0)
	a.mov32(10, 8)
	a.mov32(regAX, unix.SYS_RT_SIGPROCMASK)
	a.op(0x0f, 0x05)
}

// notify stops for the tracer: by a signal, or, with sig 0, by a call that has
// no effect and that the tracer watches for. It returns the offset of the
// instruction after it.
func (a *asm) notify(pid, tid tracer.TID, sig unix.Signal) uint64 {
	if sig == 0 {
		a.call(unix.SYS_GETPID)
	} else {
		a.call(unix.SYS_TGKILL, uint64(pid), uint64(tid), uint64(sig))
	}
	return uint64(len(a.b))
}

// jrcxz jumps, if rcx is zero, to where land is called with its result.
func (a *asm) jrcxz() int {
	a.op(0xe3, 0)
	return len(a.b) - 1
}

// jrcxzFar is jrcxz to any distance, for landFar.
func (a *asm) jrcxzFar() int {
	near := a.jrcxz()
	a.op(0xeb, 5) // jmp over the next
	a.land(near)
	a.op(0xe9, 0, 0, 0, 0) // jmp
	return len(a.b) - 4
}

func (a *asm) landFar(jump int) {
	binary.LittleEndian.PutUint32(a.b[jump:], uint32(len(a.b)-(jump+4)))
}

func (a *asm) land(jump int) { a.b[jump] = byte(len(a.b) - (jump + 1)) }

// What an interrupted system call leaves in rax, <linux/errno.h>; user space
// never sees it.
const (
	restartSys    = 512
	restartNoIntr = 513
	restartNoHand = 514
	restartBlock  = 516
)

// resume is what a task's registers become when it goes on: with the system
// call that they stand in made again, and without. The first is the same as the
// second where no call is to be made again.
func resume(r tracer.Regs) (again, onward tracer.Regs) {
	again, onward = r, r
	if int64(r.Orig_rax) < 0 {
		return again, onward
	}
	switch -int64(r.Rax) {
	case restartSys, restartNoIntr, restartNoHand:
		again.Rax = r.Orig_rax
	case restartBlock:
		again.Rax = unix.SYS_RESTART_SYSCALL
	default:
		return again, onward
	}
	again.Rip -= syscallSize
	onward.Rax = ^uint64(unix.EINTR) + 1
	return again, onward
}
