package plan

import (
	"fmt"
	"math"

	"golang.org/x/sys/unix"

	"floe/lib/record"
)

// What an interrupted system call leaves in rax, <linux/errno.h>; user space
// never sees it.
const (
	eRestartSys     = 512
	eRestartNoIntr  = 513
	eRestartNoHand  = 514
	eRestartBlock   = 516
	syscallInsnSize = 2
)

// Flags that user space may have in eflags: CF PF AF ZF SF DF OF NT AC, which a
// tracer sets, and ID, which it can't. RF is the processor's, and says nothing
// here; with TF each instruction traps. Bit 1 and IF are always set.
const (
	userFlags   = 0x1 | 0x4 | 0x10 | 0x40 | 0x80 | 0x400 | 0x800 | 0x4000 | 0x40000
	ownFlags    = 0x200000
	trapFlag    = 0x100
	alwaysFlags = 0x202
)

// OwnFlags is the flags register of a thread that has flags which only it can
// set; 0: it has none.
func OwnFlags(r *record.RegsAmd64) uint64 {
	if r.Eflags&ownFlags == 0 {
		return 0
	}
	return r.Eflags&ownFlags | alwaysFlags
}

// Selectors of a 64-bit task, <asm/segment.h>.
const (
	userCS = 0x33
	userSS = 0x2b
)

// Registers gives a thread's registers twice: as the kernel must find them to
// restart an interrupted call itself, and with that restart done by hand. The
// restart block of nanosleep, poll and timed futex belonged to the old task:
// such a call is made again from its arguments, but for a relative wait: see Waited.
func Registers(t *record.Thread) (kernel, resumed unix.PtraceRegs, err error) {
	r := t.Regs
	if r.Cs != userCS || r.Ss != userSS {
		return kernel, resumed, fmt.Errorf("thread %d: cs %#x, ss %#x: not a 64-bit program", t.Tid, r.Cs, r.Ss)
	}
	for _, s := range []uint64{r.Ds, r.Es, r.Fs, r.Gs} {
		// What ptrace(2) takes: none, or one of user privilege.
		if s > math.MaxUint16 || s != 0 && s&3 != 3 {
			return kernel, resumed, fmt.Errorf("thread %d: %#x is no selector of a program's", t.Tid, s)
		}
	}
	if r.Eflags&trapFlag != 0 {
		return kernel, resumed, fmt.Errorf("thread %d: it traps after each instruction (trap flag), which can't be restored", t.Tid)
	}
	for what, a := range map[string]uint64{"rip": r.Rip, "fs_base": r.FsBase, "gs_base": r.GsBase} {
		if a > UserCeiling {
			return kernel, resumed, fmt.Errorf("thread %d: %s %#x is no user address", t.Tid, what, a)
		}
	}
	kernel = unix.PtraceRegs{
		R15: r.R15, R14: r.R14, R13: r.R13, R12: r.R12, Rbp: r.Rbp, Rbx: r.Rbx, R11: r.R11, R10: r.R10, R9: r.R9, R8: r.R8,
		Rax: r.Rax, Rcx: r.Rcx, Rdx: r.Rdx, Rsi: r.Rsi, Rdi: r.Rdi, Orig_rax: r.OrigRax, Rip: r.Rip, Cs: r.Cs,
		Eflags: r.Eflags&userFlags | alwaysFlags, Rsp: r.Rsp, Ss: r.Ss, Fs_base: r.FsBase, Gs_base: r.GsBase,
		Ds: r.Ds, Es: r.Es, Fs: r.Fs, Gs: r.Gs,
	}
	if int64(r.OrigRax) >= 0 {
		nr := r.OrigRax
		switch -int64(r.Rax) {
		case eRestartBlock:
			if t.Restart != nil && t.Restart.Nr != 0 {
				nr = t.Restart.Nr
			}
			if nr == unix.SYS_RESTART_SYSCALL {
				return kernel, resumed, fmt.Errorf("thread %d: it stands in restart_syscall, and what that restarts is not in the image", t.Tid)
			}
			kernel.Orig_rax, kernel.Rax = nr, uint64(-eRestartNoHand&(1<<64-1))
			resumed = kernel
			resumed.Rip, resumed.Rax, resumed.Orig_rax = kernel.Rip-syscallInsnSize, nr, ^uint64(0)
			return kernel, resumed, nil
		case eRestartSys, eRestartNoIntr, eRestartNoHand:
			resumed = kernel
			resumed.Rip, resumed.Rax, resumed.Orig_rax = kernel.Rip-syscallInsnSize, nr, ^uint64(0)
			return kernel, resumed, nil
		}
	}
	resumed = kernel
	resumed.Orig_rax = ^uint64(0)
	return kernel, resumed, nil
}

// Waited is kernel, of Registers, for a thread that has made its relative wait again
// (package waits). result is what the call left in rax: that the kernel has a
// restart block for it, or what it returned at once.
func Waited(kernel unix.PtraceRegs, result int64) unix.PtraceRegs {
	kernel.Rax = uint64(result)
	if result != -eRestartBlock {
		kernel.Orig_rax = ^uint64(0)
	}
	return kernel
}
