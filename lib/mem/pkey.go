package mem

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"floe/lib/stub"
)

// Protection keys, pkeys(7). Which of them a process has allocated is shown
// nowhere; but memory takes only a key that is. A process that has any is refused:
// what its mappings and threads have of keys (ProtectionKey in smaps, PKRU) would
// not be all.

// keys is how many there are at most; memory has key 0 without asking.
const keys = 16

// haveKeys tells whether this machine has protection keys.
var haveKeys = sync.OnceValue(func() bool {
	key, _, e := unix.Syscall(unix.SYS_PKEY_ALLOC, 0, 0, 0)
	if e != 0 {
		return false
	}
	_, _, _ = unix.Syscall(unix.SYS_PKEY_FREE, key, 0, 0)
	return true
})

// askKeys tries each key on a page of floe's, which goes afterwards.
func askKeys(have bool) []stub.Call {
	if !have {
		return nil
	}
	var calls []stub.Call
	for key := 1; key < keys; key++ {
		calls = append(calls, stub.Call{What: "pkey_mprotect", Nr: unix.SYS_PKEY_MPROTECT,
			Args: []stub.Arg{{Kind: stub.Spare, Val: stub.Untouched}, stub.I(pageSize), stub.I(unix.PROT_READ | unix.PROT_WRITE), stub.I(key)}})
	}
	return calls
}

func answerKeys(res []int64) error {
	for i, r := range res {
		switch e := failed(r); e {
		case 0:
			return fmt.Errorf("it has allocated the protection key %d (pkey_alloc), which can't be saved yet; run it without them", i+1)
		case unix.EINVAL:
		default:
			return fmt.Errorf("pkey_mprotect of a page of floe's: %w", e)
		}
	}
	return nil
}
