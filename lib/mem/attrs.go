package mem

import (
	"golang.org/x/sys/unix"

	"floe/lib/record"
	"floe/lib/stub"
)

// What of an address space only a task that has it can tell. Ask has the calls
// of a guest (package inject), Answer reads what they returned. Each kind has a
// file of its own, with what asks for it and what sets it.

// Ask asks in a task. The calls may fail.
func Ask() []stub.Call { return append(append(askFuture(), askLDT(ldtEntry)), askKeys(haveKeys())...) }

// Answer reads the results of Ask, and whether there is an LDT to be read, with
// AskLDT. With LockFuture set there is AskFilled to be asked.
func Answer(res []int64) (attrs *record.MmAttrs, ldt bool, err error) {
	attrs = &record.MmAttrs{}
	if attrs.LockFuture, err = answerFuture(res); err != nil {
		return nil, false, err
	}
	own := len(askFuture())
	if ldt, err = answerLDT(res[own]); err != nil {
		return nil, false, err
	}
	return attrs, ldt, answerKeys(res[own+1 : own+1+len(askKeys(haveKeys()))])
}

// After plans what is set when nothing is mapped any more.
func After(a *record.MmAttrs) ([]stub.Call, error) {
	if err := checkPolicies(a.GetPolicies()); err != nil {
		return nil, err
	}
	ldt, err := setLDT(a.GetLdt())
	if err != nil {
		return nil, err
	}
	future, err := setFuture(a.GetLockFuture())
	return append(ldt, future...), err
}

func failed(r int64) unix.Errno {
	if r < 0 && r >= -stub.MaxErrno {
		return unix.Errno(-r)
	}
	return 0
}
