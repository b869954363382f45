package attr

import (
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/record"
	"floe/lib/stub"
)

// Of <linux/prctl.h>, Linux 6.3.
const (
	prSetMDWE     = 65
	prGetMDWE     = 66
	mdweRefuse    = 1 << 0 // PR_MDWE_REFUSE_EXEC_GAIN
	mdweNoInherit = 1 << 1 // Linux 6.6
)

// executable forbids the process to make memory executable. It is for good, so
// it is set last.
var executable = Attr{
	Name: "mdwe",
	Process: Part[record.Task]{
		Ask: func(*Live, *record.Task) []stub.Call { return []stub.Call{prctl("PR_GET_MDWE", prGetMDWE)} },
		Answer: func(a *Answers, t *record.Task) error {
			v, _, err := a.Value(0, unix.EINVAL)
			t.Attrs.Mdwe = uint32(v)
			return err
		},
		Check: func(t *record.Task) error {
			if v := t.Attrs.Mdwe; v&^(mdweRefuse|mdweNoInherit) != 0 || v == mdweNoInherit {
				return fmt.Errorf("PR_GET_MDWE %#x is not known to this version", v)
			}
			return nil
		},
		Last: func(_ *Here, t *record.Task) []stub.Call {
			if t.Attrs.Mdwe == 0 {
				return nil
			}
			return []stub.Call{prctl("PR_SET_MDWE", prSetMDWE, uint64(t.Attrs.Mdwe))}
		},
	},
	// execve(2) of the first puppet leaves behind what is not to be inherited.
	Fixed: func(h *Here) string {
		if h.Process.Attrs.Mdwe != mdweRefuse {
			return ""
		}
		return "with PR_SET_MDWE, under which memory can't be restored,"
	},
}
