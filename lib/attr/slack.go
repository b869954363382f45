package attr

import (
	"golang.org/x/sys/unix"

	"floe/lib/record"
	"floe/lib/stub"
)

// timerSlack is the slack that a thread goes back to with PR_SET_TIMERSLACK 0:
// that of the thread that made it, when it did. So the maker has it for that
// moment; each gets its own slack later (lib/plan). A real-time thread has none,
// and can't be asked: so the puppets are none, whatever restore is.
var timerSlack = Attr{
	Name: "default timer slack",
	Thread: Part[record.Thread]{
		Ask: func(_ *Live, t *record.Thread) []stub.Call {
			if t.TimerSlackNs == 0 {
				return nil
			}
			return []stub.Call{setSlack(0), prctl("PR_GET_TIMERSLACK", unix.PR_GET_TIMERSLACK), setSlack(t.TimerSlackNs)}
		},
		Alike: func(*Live, *record.Thread) []stub.Call {
			get, back := prctl("PR_GET_TIMERSLACK", unix.PR_GET_TIMERSLACK), setSlack(0)
			back.Args[1] = stub.R(0)
			return []stub.Call{get, setSlack(0), get, back}
		},
		Answer: func(a *Answers, t *record.Thread) error {
			v, _, err := a.Value(1)
			t.Attrs.DefaultSlackNs = uint64(v)
			return err
		},
	},
	Neutral: func() []stub.Call {
		const normal = 0 // SCHED_NORMAL
		return []stub.Call{{What: "sched_setscheduler", Nr: unix.SYS_SCHED_SETSCHEDULER,
			Args: []stub.Arg{stub.I(0), stub.I(normal), stub.D(make([]byte, 4))}, Excused: unix.EPERM}}
	},
	Fork: func(before, t *record.Thread) []stub.Call {
		if ns := t.Attrs.DefaultSlackNs; ns == 0 || before.GetAttrs().GetDefaultSlackNs() == ns {
			return nil
		}
		return []stub.Call{setSlack(t.Attrs.DefaultSlackNs)}
	},
}

func setSlack(ns uint64) stub.Call {
	return prctl("PR_SET_TIMERSLACK", unix.PR_SET_TIMERSLACK, ns)
}
