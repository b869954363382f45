package attr

import (
	"slices"

	"golang.org/x/sys/unix"

	"floe/lib/record"
	"floe/lib/stub"
)

// Of <linux/prctl.h>, Linux 6.4.
const (
	prSetMemoryMerge = 67
	prGetMemoryMerge = 68
)

// memoryMerge has the kernel merge equal pages (KSM) in all mappings. It is set
// before there are any, so that each becomes mergeable as it did; those that were
// taken out again (MADV_UNMERGEABLE) are taken out in the end.
var memoryMerge = Attr{
	Name: "memory merge",
	Process: Part[record.Task]{
		Ask: func(*Live, *record.Task) []stub.Call {
			return []stub.Call{prctl("PR_GET_MEMORY_MERGE", prGetMemoryMerge)}
		},
		Answer: func(a *Answers, t *record.Task) error {
			v, _, err := a.Value(0, unix.EINVAL)
			t.Attrs.MemoryMerge = v != 0
			return err
		},
		Early: func(h *Here, t *record.Task) []stub.Call {
			if t.Attrs.MemoryMerge == h.Process.Attrs.MemoryMerge {
				return nil
			}
			return []stub.Call{prctl("PR_SET_MEMORY_MERGE", prSetMemoryMerge, onOff(t.Attrs.MemoryMerge))}
		},
		Last: func(h *Here, t *record.Task) (calls []stub.Call) {
			if !t.Attrs.MemoryMerge {
				return nil
			}
			for _, v := range h.Vmas(t) {
				special := v.Kind == record.Vma_SPECIAL || v.Kind == record.Vma_VSYSCALL
				if !special && !slices.Contains(v.Flags, "mg") {
					calls = append(calls, call("MADV_UNMERGEABLE", unix.SYS_MADVISE, v.Start, v.End-v.Start, unix.MADV_UNMERGEABLE))
				}
			}
			return calls
		},
	},
}
