package tracer

import (
	"golang.org/x/sys/unix"
)

// Options of a seized task, PTRACE_O_* of <linux/ptrace.h>.
const (
	OptTraceFork    = unix.PTRACE_O_TRACEFORK
	OptTraceVfork   = unix.PTRACE_O_TRACEVFORK
	OptTraceClone   = unix.PTRACE_O_TRACECLONE
	OptTraceExec    = unix.PTRACE_O_TRACEEXEC
	OptTraceExit    = unix.PTRACE_O_TRACEEXIT
	OptTraceSysGood = unix.PTRACE_O_TRACESYSGOOD
	OptExitKill     = unix.PTRACE_O_EXITKILL
)

// Seize attaches to tid without stopping it (PTRACE_SEIZE).
func (p *Ptrace) Seize(tid TID, opts int) error {
	return wrap("seize", tid, ptrace(unix.PTRACE_SEIZE, tid, 0, uintptr(opts)))
}

// Interrupt asks a seized task to stop; Wait then gives an EventStop. The
// task's parent does not notice.
func (p *Ptrace) Interrupt(tid TID) error {
	return wrap("interrupt", tid, ptrace(unix.PTRACE_INTERRUPT, tid, 0, 0))
}

// Cont lets a stopped task run, delivering sig (0: none).
func (p *Ptrace) Cont(tid TID, sig unix.Signal) error {
	return wrap("cont", tid, ptrace(unix.PTRACE_CONT, tid, 0, uintptr(sig)))
}

// Syscall lets a stopped task run to the entry or exit of a system call.
func (p *Ptrace) Syscall(tid TID, sig unix.Signal) error {
	return wrap("syscall", tid, ptrace(unix.PTRACE_SYSCALL, tid, 0, uintptr(sig)))
}

// Step runs one instruction of a stopped task.
func (p *Ptrace) Step(tid TID, sig unix.Signal) error {
	return wrap("step", tid, ptrace(unix.PTRACE_SINGLESTEP, tid, 0, uintptr(sig)))
}

// Detach lets a stopped task go, delivering sig (0: none). A task that was in
// group stop goes back into it.
func (p *Ptrace) Detach(tid TID, sig unix.Signal) error {
	return wrap("detach", tid, ptrace(unix.PTRACE_DETACH, tid, 0, uintptr(sig)))
}

// Listen leaves a group-stopped task stopped, and lets it tell of SIGCONT.
func (p *Ptrace) Listen(tid TID) error {
	return wrap("listen", tid, ptrace(unix.PTRACE_LISTEN, tid, 0, 0))
}

// SetOptions replaces the options of a stopped task.
func (p *Ptrace) SetOptions(tid TID, opts int) error {
	return wrap("setoptions", tid, ptrace(unix.PTRACE_SETOPTIONS, tid, 0, uintptr(opts)))
}

// Wait waits for one task to change state. A task that is gone without a
// status left to fetch is ErrTaskGone.
func (p *Ptrace) Wait(tid TID) (Stop, error) {
	p.t.waiting.begin(tid)
	defer p.t.waiting.end()
	_, s, err := p.wait(tid, 0)
	return s, err
}

// WaitAny waits for any tracee or child of this thread. With block false it
// returns tid 0 when none has changed. No tracee left is ErrTaskGone.
func (p *Ptrace) WaitAny(block bool) (TID, Stop, error) {
	flags := unix.WNOHANG
	if block {
		flags = 0
	}
	return p.wait(-1, flags)
}

// Poll is Wait that returns at once: ok is false when tid has not changed.
func (p *Ptrace) Poll(tid TID) (s Stop, ok bool, err error) {
	got, s, err := p.wait(tid, unix.WNOHANG)
	return s, got != 0, err
}

func (p *Ptrace) wait(tid TID, flags int) (TID, Stop, error) {
	var ws unix.WaitStatus
	for {
		got, err := unix.Wait4(int(tid), &ws, unix.WALL|unix.WNOTHREAD|flags, nil)
		switch err {
		case nil:
			return TID(got), DecodeStop(ws), nil
		case unix.EINTR:
		case unix.ECHILD:
			return 0, Stop{}, wrap("wait", tid, unix.ESRCH)
		default:
			return 0, Stop{}, wrap("wait", tid, err)
		}
	}
}
