package attr

import (
	"fmt"
	"os"

	"floe/lib/record"
)

// coredumpFilter says which mappings a core dump has, core(5). It belongs to the
// memory, and goes on to children and through execve(2).
var coredumpFilter = Attr{
	Name: "coredump_filter",
	Process: Part[record.Task]{
		Look: func(l *Live, t *record.Task) error {
			v, err := procNumber(l.PID, "coredump_filter", 16, 0)
			t.Attrs.CoredumpFilter = uint32(v)
			return err
		},
		Check: func(t *record.Task) error {
			const bits = 1<<9 - 1 // MMF_DUMP_FILTER_MASK
			if v := t.Attrs.CoredumpFilter; v&^bits != 0 {
				return fmt.Errorf("%#x: no kernel has such mappings", v)
			}
			return nil
		},
		Write: func(h *Here, pid int, t *record.Task) error {
			if t.Attrs.CoredumpFilter == h.Process.Attrs.CoredumpFilter {
				return nil
			}
			return os.WriteFile(fmt.Sprintf("/proc/%d/coredump_filter", pid), fmt.Appendf(nil, "%#x", t.Attrs.CoredumpFilter), 0)
		},
	},
}
