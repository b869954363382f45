package attr

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/record"
	"floe/lib/stub"
)

// Of <linux/prctl.h>, Linux 6.16.
const (
	prFutexHash   = 78
	futexSetSlots = 1
	futexGetSlots = 2
)

// futexHash is the process's own table of futexes. The kernel makes one with the
// second thread, as large as the processors and threads want it; one of another
// size was asked for.
var futexHash = Attr{
	Name: "futex hash",
	Process: Part[record.Task]{
		Ask: func(*Live, *record.Task) []stub.Call { return []stub.Call{getSlots()} },
		Answer: func(a *Answers, t *record.Task) error {
			v, _, err := a.Value(0, unix.EINVAL, unix.ENOSYS)
			t.Attrs.FutexSlots = uint32(v)
			return err
		},
		Check: func(t *record.Task) error {
			if v := t.Attrs.FutexSlots; v == 1 || v&(v-1) != 0 {
				return fmt.Errorf("%d slots: their number is a power of two", v)
			}
			return nil
		},
		Run: func(run func([]stub.Call) ([]int64, error), t *record.Task) error {
			if len(t.Tids) == 1 && t.Attrs.FutexSlots == 0 {
				return nil
			}
			have, err := run([]stub.Call{getSlots()})
			if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
				return nil // the kernel has no such tables
			} else if err != nil || uint32(have[0]) == t.Attrs.FutexSlots {
				return err
			}
			_, err = run([]stub.Call{prctl("PR_FUTEX_HASH", prFutexHash, futexSetSlots, uint64(t.Attrs.FutexSlots))})
			return err
		},
	},
}

func getSlots() stub.Call { return prctl("PR_FUTEX_HASH", prFutexHash, futexGetSlots) }
