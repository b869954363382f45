package attr

import (
	"golang.org/x/sys/unix"

	"floe/lib/record"
	"floe/lib/stub"
)

// Of <linux/prctl.h>, Linux 6.15.
const (
	prTimerIDs  = 77 // PR_TIMER_CREATE_RESTORE_IDS
	timerIDsOn  = 1
	timerIDsGet = 2
)

// timerIDs says that timer_create(2) takes ids from its caller. plan.PosixTimers
// uses it, and leaves it off.
var timerIDs = Attr{
	Name: "ids of timers",
	Process: Part[record.Task]{
		Ask: func(*Live, *record.Task) []stub.Call {
			return []stub.Call{prctl("PR_TIMER_CREATE_RESTORE_IDS", prTimerIDs, timerIDsGet)}
		},
		Answer: func(a *Answers, t *record.Task) error {
			v, _, err := a.Value(0, unix.EINVAL)
			t.Attrs.TimerRestoreIds = v != 0
			return err
		},
		Last: func(_ *Here, t *record.Task) []stub.Call {
			if !t.Attrs.TimerRestoreIds {
				return nil
			}
			return []stub.Call{prctl("PR_TIMER_CREATE_RESTORE_IDS", prTimerIDs, timerIDsOn)}
		},
	},
}
