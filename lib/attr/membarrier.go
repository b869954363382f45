package attr

import (
	"fmt"
	"math/bits"
	"sync"

	"golang.org/x/sys/unix"

	"floe/lib/record"
	"floe/lib/stub"
)

// Commands of membarrier(2), <linux/membarrier.h>.
const (
	barrierQuery          = 0
	barrierRegisterGlobal = 1 << 2
	barrierRegistrations  = 1 << 9
	barrierRegister       = 1<<2 | 1<<4 | 1<<6 | 1<<8
)

// barriers are the commands that fail with EPERM unless they were registered for:
// the command that registers is twice as high.
var barriers = [...]uint64{1 << 3, 1 << 5, 1 << 7}

// tellsBarriers says that the kernel tells what is registered: Linux 6.3.
var tellsBarriers = sync.OnceValue(func() bool {
	_, _, e := unix.Syscall(unix.SYS_MEMBARRIER, barrierRegistrations, 0, 0)
	return e == 0
})

// membarrier is what a process has registered for. A kernel that does not tell
// is asked by the commands themselves, which change nothing. What can't be asked
// there is whether it takes part in the barriers of all processes: it then does
// afterwards, which costs it an interrupt now and then, and those who rely on it
// nothing.
var membarrier = Attr{
	Name: "membarrier",
	Process: Part[record.Task]{
		Ask: func(*Live, *record.Task) []stub.Call {
			if tellsBarriers() {
				return []stub.Call{call("membarrier: registrations", unix.SYS_MEMBARRIER, barrierRegistrations, 0, 0)}
			}
			var calls []stub.Call
			for _, cmd := range barriers {
				calls = append(calls, call(fmt.Sprintf("membarrier %#x", cmd), unix.SYS_MEMBARRIER, cmd, 0, 0))
			}
			return calls
		},
		Answer: func(a *Answers, t *record.Task) error {
			if len(a.calls) == 1 {
				v, _, err := a.Value(0)
				t.Attrs.Membarrier = uint32(v)
				return err
			}
			for i, cmd := range barriers {
				_, ok, err := a.Value(i, unix.EPERM, unix.EINVAL, unix.ENOSYS)
				if err != nil {
					return err
				}
				if ok {
					t.Attrs.Membarrier |= uint32(cmd<<1) | barrierRegisterGlobal
				}
			}
			return nil
		},
		Check: func(t *record.Task) error {
			if v := t.Attrs.Membarrier; v&^barrierRegister != 0 {
				return fmt.Errorf("registrations %#x are not known to this version", v)
			}
			return nil
		},
		Cannot: func(_ *Here, t *record.Task) error {
			if t.Attrs.Membarrier == 0 {
				return nil
			}
			has, _, e := unix.Syscall(unix.SYS_MEMBARRIER, barrierQuery, 0, 0)
			if missing := t.Attrs.Membarrier &^ uint32(has); e != 0 || missing != 0 {
				return fmt.Errorf("it has registered for %#x, which this kernel has not", t.Attrs.Membarrier)
			}
			return nil
		},
		// Early: with two threads each registration takes the kernel milliseconds.
		Early: func(_ *Here, t *record.Task) (calls []stub.Call) {
			for v := t.Attrs.Membarrier; v != 0; v &= v - 1 {
				calls = append(calls, call("membarrier: registration", unix.SYS_MEMBARRIER, 1<<bits.TrailingZeros32(v), 0, 0))
			}
			return calls
		},
	},
}
