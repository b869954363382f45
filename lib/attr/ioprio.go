package attr

import (
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/record"
)

// Of <linux/ioprio.h>.
const (
	ioprioWhoProcess = 1
	ioprioClassShift = 13
)

// ioPriority is a thread's I/O priority. Without a class it follows from the nice
// value: 0. It goes on to children once there is one.
var ioPriority = Attr{
	Name: "I/O priority",
	Thread: Part[record.Thread]{
		Look: func(l *Live, t *record.Thread) (err error) {
			t.Sched.Ioprio, err = getIOPriority(l.TID)
			return err
		},
		Write: func(_ *Here, tid int, t *record.Thread) error {
			if t.Sched == nil {
				return nil
			}
			have, err := getIOPriority(tid)
			if err != nil || have == t.Sched.Ioprio {
				return err
			}
			if _, _, e := unix.Syscall(unix.SYS_IOPRIO_SET, ioprioWhoProcess, uintptr(tid), uintptr(t.Sched.Ioprio)); e != 0 {
				return fmt.Errorf("ioprio_set to %#x: %w", t.Sched.Ioprio, e)
			}
			return nil
		},
	},
}

func getIOPriority(tid int) (uint32, error) {
	v, _, e := unix.Syscall(unix.SYS_IOPRIO_GET, ioprioWhoProcess, uintptr(tid), 0)
	if e == unix.ENOSYS {
		return 0, nil
	} else if e != 0 {
		return 0, fmt.Errorf("ioprio_get: %w", e)
	}
	if v>>ioprioClassShift == 0 {
		v = 0
	}
	return uint32(v), nil
}
