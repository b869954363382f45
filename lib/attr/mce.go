package attr

import (
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/record"
	"floe/lib/stub"
)

// Of <linux/prctl.h>.
const (
	mceKillSet     = 1
	mceKillDefault = 2
)

// machineCheck says how a thread hears of memory that has failed.
var machineCheck = Attr{
	Name: "machine check policy",
	Thread: Part[record.Thread]{
		Ask:   func(*Live, *record.Thread) []stub.Call { return getMachineCheck() },
		Alike: func(*Live, *record.Thread) []stub.Call { return getMachineCheck() },
		Answer: func(a *Answers, t *record.Thread) error {
			v, ok, err := a.Value(0, unix.EINVAL)
			if t.Attrs.MachineCheck = uint32(v); !ok {
				t.Attrs.MachineCheck = mceKillDefault
			}
			return err
		},
		Check: func(t *record.Thread) error {
			if v := t.Attrs.MachineCheck; v > mceKillDefault {
				return fmt.Errorf("%d: there is no such policy", v)
			}
			return nil
		},
		Set: func(h *Here, t *record.Thread) []stub.Call {
			if t.Attrs.MachineCheck == h.Thread.Attrs.MachineCheck {
				return nil
			}
			return []stub.Call{prctl("PR_MCE_KILL", unix.PR_MCE_KILL, mceKillSet, uint64(t.Attrs.MachineCheck))}
		},
	},
}

func getMachineCheck() []stub.Call {
	return []stub.Call{prctl("PR_MCE_KILL_GET", unix.PR_MCE_KILL_GET)}
}
