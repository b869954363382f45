package inject

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/stub"
	"floe/lib/tracer"
)

// struct clone_args of <linux/sched.h>, the version with set_tid.
const (
	cloneArgsSize  = 80
	cloneExitSig   = 32
	cloneSetTID    = 64
	cloneSetTIDLen = 72
)

// CloneArgs says what task to make.
type CloneArgs struct {
	TID        tracer.TID  // the id that it must get
	Flags      uint64      // CLONE_*
	ExitSignal uint64      // 0 with CLONE_THREAD or CLONE_PARENT
	Before     []stub.Call // that the parent makes first
}

func (c CloneArgs) call() stub.Call {
	b := make([]byte, cloneArgsSize+4)
	le := binary.LittleEndian
	le.PutUint64(b, c.Flags|unix.CLONE_PTRACE)
	le.PutUint64(b[cloneExitSig:], c.ExitSignal)
	le.PutUint64(b[cloneSetTIDLen:], 1)
	le.PutUint32(b[cloneArgsSize:], uint32(c.TID))
	what := "clone of process"
	if c.Flags&unix.CLONE_THREAD != 0 {
		what = "clone of thread"
	}
	return stub.Call{
		What: fmt.Sprintf("%s %d", what, c.TID),
		Nr:   unix.SYS_CLONE3,
		Args: []stub.Arg{
			{Kind: stub.Data, Bytes: b, Fixes: []stub.Fix{{At: cloneSetTID, Plus: cloneArgsSize}}},
			stub.I(cloneArgsSize),
		},
	}
}

// Clone makes tasks from a stopped puppet, each with the id that it must get,
// stopped and traced from birth.
func (a *Arena) Clone(p *tracer.Ptrace, parent tracer.TID, list ...CloneArgs) error {
	calls := make([]stub.Call, 0, len(list))
	for _, c := range list {
		calls = append(append(calls, c.Before...), c.call())
		if c.Flags&unix.CLONE_THREAD != 0 {
			p.MindThreads()
		}
	}
	if _, err := a.Run(p, parent, calls); err != nil {
		return err
	}
	for _, c := range list {
		if err := awaitEventStop(p, c.TID); err != nil {
			return err
		}
	}
	return nil
}
