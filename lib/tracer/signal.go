package tracer

import (
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"
)

// SigInfoSize is sizeof(siginfo_t), bytes.
const SigInfoSize = 128

// sigSetSize is sizeof(sigset_t) in the kernel, bytes.
const sigSetSize = 8

// GetSigMask reads the blocked signals of a stopped task; bit n-1 is signal n.
func (p *Ptrace) GetSigMask(tid TID) (uint64, error) {
	var b [sigSetSize]byte
	_, err := ptraceBuf(unix.PTRACE_GETSIGMASK, tid, sigSetSize, b[:])
	return binary.NativeEndian.Uint64(b[:]), wrap("getsigmask", tid, err)
}

// SetSigMask sets the blocked signals of a stopped task.
func (p *Ptrace) SetSigMask(tid TID, mask uint64) error {
	var b [sigSetSize]byte
	binary.NativeEndian.PutUint64(b[:], mask)
	_, err := ptraceBuf(unix.PTRACE_SETSIGMASK, tid, sigSetSize, b[:])
	return wrap("setsigmask", tid, err)
}

// GetSigInfo reads the siginfo_t of the signal that a task is stopped for.
func (p *Ptrace) GetSigInfo(tid TID) ([SigInfoSize]byte, error) {
	var b [SigInfoSize]byte
	_, err := ptraceBuf(unix.PTRACE_GETSIGINFO, tid, 0, b[:])
	return b, wrap("getsiginfo", tid, err)
}

// peekBatch is how many siginfos one request fetches.
const peekBatch = 32

// PeekSigInfo reads the pending signals of a stopped task without taking them
// from the queue: its own queue, or the one shared by its process.
func (p *Ptrace) PeekSigInfo(tid TID, shared bool) ([][SigInfoSize]byte, error) {
	var flags uint32
	if shared {
		flags = unix.PTRACE_PEEKSIGINFO_SHARED
	}
	var all [][SigInfoSize]byte
	buf := make([]byte, peekBatch*SigInfoSize)
	for {
		n, err := ptracePeekSigInfo(tid, uint64(len(all)), flags, peekBatch, buf)
		if err != nil {
			return nil, wrap("peeksiginfo", tid, err)
		}
		if n == 0 {
			return all, nil
		}
		for i := range n {
			all = append(all, [SigInfoSize]byte(buf[i*SigInfoSize:]))
		}
	}
}

// RseqConfig is struct ptrace_rseq_configuration of <linux/ptrace.h>.
type RseqConfig struct {
	Addr      uint64 // 0: not registered
	Size      uint32
	Signature uint32
	Flags     uint32
}

const ptraceGetRseqConfiguration = 0x420f

// ErrNoRseqConfig says that the kernel can't tell (before 5.13).
var ErrNoRseqConfig = errors.New("this kernel has no PTRACE_GET_RSEQ_CONFIGURATION")

// RseqConfig reads a stopped task's rseq registration.
func (p *Ptrace) RseqConfig(tid TID) (RseqConfig, error) {
	var b [24]byte
	_, err := ptraceBuf(ptraceGetRseqConfiguration, tid, uintptr(len(b)), b[:])
	if errors.Is(err, unix.EIO) || errors.Is(err, unix.EINVAL) {
		return RseqConfig{}, wrap("rseq", tid, ErrNoRseqConfig)
	}
	e := binary.NativeEndian
	return RseqConfig{Addr: e.Uint64(b[0:]), Size: e.Uint32(b[8:]), Signature: e.Uint32(b[12:]), Flags: e.Uint32(b[16:])}, wrap("rseq", tid, err)
}

const ptraceGetSyscallUserDispatchConfig = 0x4211

// SyscallUserDispatch tells whether a stopped task has its system calls sent
// to a handler of its own (prctl PR_SET_SYSCALL_USER_DISPATCH). A kernel before
// 6.4 can't tell: false.
func (p *Ptrace) SyscallUserDispatch(tid TID) (bool, error) {
	var b [32]byte // struct ptrace_sud_config: mode, selector, offset, len
	_, err := ptraceBuf(ptraceGetSyscallUserDispatchConfig, tid, uintptr(len(b)), b[:])
	if errors.Is(err, unix.EIO) || errors.Is(err, unix.EINVAL) {
		return false, nil
	}
	return binary.NativeEndian.Uint64(b[:]) != 0, wrap("syscall user dispatch", tid, err)
}
