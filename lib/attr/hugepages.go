package attr

import (
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/record"
	"floe/lib/stub"
)

// Of <linux/prctl.h>.
const (
	prSetTHPDisable = 41
	prGetTHPDisable = 42
	thpDisabled     = 1
	thpFlags        = 1 << 1 // PR_THP_DISABLE_EXCEPT_ADVISED, Linux 6.18
)

// hugePages says whether the process's memory may be of transparent huge pages.
var hugePages = Attr{
	Name: "transparent huge pages",
	Process: Part[record.Task]{
		Ask: func(*Live, *record.Task) []stub.Call {
			return []stub.Call{prctl("PR_GET_THP_DISABLE", prGetTHPDisable)}
		},
		Answer: func(a *Answers, t *record.Task) error {
			v, _, err := a.Value(0, unix.EINVAL)
			t.Attrs.ThpDisable = uint32(v)
			return err
		},
		Check: func(t *record.Task) error {
			if v := t.Attrs.ThpDisable; v&^(thpDisabled|thpFlags) != 0 || v == thpFlags {
				return fmt.Errorf("PR_GET_THP_DISABLE %#x is not known to this version", v)
			}
			return nil
		},
		Set: func(h *Here, t *record.Task) []stub.Call {
			v := t.Attrs.ThpDisable
			if v == h.Process.Attrs.ThpDisable {
				return nil
			}
			return []stub.Call{prctl("PR_SET_THP_DISABLE", prSetTHPDisable, uint64(v&thpDisabled), uint64(v&thpFlags))}
		},
	},
}
