package freezer

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/inject"
	"floe/lib/record"
	"floe/lib/tracer"
)

// userCS is the code segment of 64-bit programs, <asm/segment.h>.
const userCS = 0x33

// What an interrupted system call leaves in rax, <linux/errno.h>.
const (
	restartSys    = 512
	restartNoIntr = 513
	restartNoHand = 514
	restartBlock  = 516
)

// registers reads a thread's registers and signal mask.
func (c *collector) registers(guest *inject.Guest, th *Thread, r *record.Thread) error {
	if err := c.readRseq(guest, th, r); err != nil {
		return err
	}
	g, err := c.p.GetRegs(th.TID)
	if err != nil {
		return err
	}
	if g.Cs != userCS {
		return fmt.Errorf("a 32-bit (ia32) program can't be saved yet")
	}
	if err := c.segments(th, &g); err != nil {
		return err
	}
	r.Regs = &record.RegsAmd64{
		R15: g.R15, R14: g.R14, R13: g.R13, R12: g.R12, Rbp: g.Rbp, Rbx: g.Rbx, R11: g.R11, R10: g.R10, R9: g.R9, R8: g.R8,
		Rax: g.Rax, Rcx: g.Rcx, Rdx: g.Rdx, Rsi: g.Rsi, Rdi: g.Rdi, OrigRax: g.Orig_rax, Rip: g.Rip, Cs: g.Cs, Eflags: g.Eflags,
		Rsp: g.Rsp, Ss: g.Ss, FsBase: g.Fs_base, GsBase: g.Gs_base, Ds: g.Ds, Es: g.Es, Fs: g.Fs, Gs: g.Gs,
	}
	if r.Xstate, err = c.p.GetXState(th.TID); err != nil {
		return err
	}
	if r.Sigmask, err = c.p.GetSigMask(th.TID); err != nil {
		return err
	}
	r.InSyscall = int64(g.Orig_rax) >= 0
	if r.Restart, err = c.restart(th, &g); err != nil {
		return err
	}
	return c.left(th, r)
}

// restart tells how an interrupted system call goes on.
func (c *collector) restart(th *Thread, g *tracer.Regs) (*record.Restart, error) {
	if int64(g.Orig_rax) < 0 {
		return nil, nil
	}
	r := &record.Restart{Nr: g.Orig_rax, RemainingNs: -1}
	switch -int64(g.Rax) {
	case restartSys, restartNoIntr, restartNoHand:
		r.Kind = record.Restart_AGAIN
	case restartBlock:
		r.Kind = record.Restart_BLOCK
		if r.Nr == unix.SYS_RESTART_SYSCALL {
			nr, err := c.restarted(th, g)
			if err != nil {
				return nil, err
			}
			r.Nr = nr
		}
	default:
		return nil, nil
	}
	return r, nil
}

// restarted tells which call restart_syscall(2) continues: a task that was
// interrupted twice, by an earlier freeze for one. The instructions before the
// system call mostly load its number; else its arguments tell.
func (c *collector) restarted(th *Thread, g *tracer.Regs) (uint64, error) {
	code := make([]byte, 9)
	if err := tracer.ReadMem(th.TID, tracer.Addr(g.Rip-uint64(len(code))), code); err == nil {
		le := binary.LittleEndian
		if code[2] == 0xb8 { // mov $imm32, %eax; syscall
			return uint64(le.Uint32(code[3:])), nil
		}
		if code[0] == 0x48 && code[1] == 0xc7 && code[2] == 0xc0 { // mov $imm32, %rax; syscall
			return uint64(le.Uint32(code[3:])), nil
		}
	}
	const (
		pointer    = 1 << 16 // no number that these calls take is larger, no pointer smaller
		futexWait  = 0
		futexPI    = 6
		futexBits  = 9
		futexFlags = 0x180
	)
	switch op := g.Rsi &^ futexFlags; {
	case g.Rdi < pointer && g.Rdx > pointer:
		return unix.SYS_CLOCK_NANOSLEEP, nil
	case g.Rdi > pointer && g.Rsi > pointer, g.Rdi > pointer && g.Rsi == 0 && g.R10 < pointer:
		return unix.SYS_NANOSLEEP, nil
	case g.Rdi > pointer && g.R10 > pointer && (op == futexWait || op == futexBits || op == futexPI):
		return unix.SYS_FUTEX, nil
	case g.Rsi < pointer && g.Rdx <= 1<<31: // poll: pollfds, how many, milliseconds
		return unix.SYS_POLL, nil
	}
	return 0, fmt.Errorf("it continues a system call whose number can't be told; freeze it again a little later")
}

// struct rseq_cs of <linux/rseq.h>, bytes.
const rseqCSSize = 32

// abortRseq ends a critical section that the freeze has cut, as the kernel
// does with one that is preempted: the thread goes on at its abort handler.
// Were it left to the kernel, the calls that are run in the thread would make
// it forget the section. The record then names the section that was cut, its
// registers are those after the abort.
func (c *collector) abortRseq(th *Thread, r *record.Rseq) error {
	if r.CriticalSection == 0 {
		return nil
	}
	at := r.CriticalSection
	r.CriticalSection = 0
	var b [rseqCSSize]byte
	if err := tracer.ReadMem(th.TID, tracer.Addr(at), b[:]); err != nil {
		return nil // the kernel would end the program for it, if it looked
	}
	le := binary.LittleEndian
	start, length, abort := le.Uint64(b[8:]), le.Uint64(b[16:]), le.Uint64(b[24:])
	g, err := c.p.GetRegs(th.TID)
	if err != nil || g.Rip-start >= length {
		return err // left already; the kernel clears the word when it comes by
	}
	var sig [4]byte
	if err := tracer.ReadMem(th.TID, tracer.Addr(abort-4), sig[:]); err != nil || le.Uint32(sig[:]) != r.Signature {
		return fmt.Errorf("rseq: the abort handler at %#x has no signature", abort)
	}
	// In this order: the handler's address is in no critical section.
	g.Rip = abort
	if err := c.p.SetRegs(th.TID, &g); err != nil {
		return err
	}
	r.CriticalSection = at
	return tracer.WriteMem(th.TID, tracer.Addr(r.Addr+rseqCS), make([]byte, 8))
}

// programCounter is where a stopped thread stands.
func programCounter(p *tracer.Ptrace, tid tracer.TID) (tracer.Addr, error) {
	g, err := p.GetRegs(tid)
	return tracer.Addr(g.Rip), err
}

// programCounterOf is where a thread with these registers stands.
func programCounterOf(r *tracer.Regs) uint64 { return r.Rip }

// threadPointer is the base of a thread's thread-local storage.
func threadPointer(r *tracer.Regs) uint64 { return r.Fs_base }
