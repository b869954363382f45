package attr

import (
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/record"
	"floe/lib/stub"
)

// Of <linux/prctl.h>, and of the kernel's <linux/sched.h>.
const (
	prSetIOFlusher  = 57
	pfMemallocNoIO  = 0x00080000
	pfLocalThrottle = 0x00100000
	pfIOFlusher     = pfMemallocNoIO | pfLocalThrottle // PR_IO_FLUSHER
)

// ioFlusher marks a thread that the kernel needs to write pages back. To ask for
// it takes CAP_SYS_RESOURCE, so it is read from the flags that /proc shows.
var ioFlusher = Attr{
	Name: "I/O flusher",
	Thread: Part[record.Thread]{
		Look: func(l *Live, t *record.Thread) error {
			t.Attrs.IoFlusher = l.Stat.Flags&pfIOFlusher == pfIOFlusher
			return nil
		},
		Cannot: func(h *Here, t *record.Thread) error {
			if t.Attrs.IoFlusher != h.Thread.Attrs.IoFlusher && !h.May(unix.CAP_SYS_RESOURCE) {
				return fmt.Errorf("thread %d: PR_SET_IO_FLUSHER needs CAP_SYS_RESOURCE, which restore has not", t.Tid)
			}
			return nil
		},
		Set: func(h *Here, t *record.Thread) []stub.Call {
			if t.Attrs.IoFlusher == h.Thread.Attrs.IoFlusher {
				return nil
			}
			return []stub.Call{prctl("PR_SET_IO_FLUSHER", prSetIOFlusher, onOff(t.Attrs.IoFlusher))}
		},
	},
}
