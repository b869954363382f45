package attr

import (
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/record"
)

// securebits say what capabilities root has, capabilities(7). Each has a second
// bit, above it, that locks it. lib/freezer reads them, plan.Credentials sets them.
var securebits = Attr{
	Name: "securebits",
	Fixed: func(h *Here) string {
		const locks = 0xaaa
		v, _, e := unix.Syscall(unix.SYS_PRCTL, unix.PR_GET_SECUREBITS, 0, 0)
		locked := uint32(v) & locks
		same := func(th *record.Thread) bool { return (th.GetCreds().GetSecurebits()^uint32(v))&(locked|locked>>1) == 0 }
		if e != 0 || locked == 0 || h.every(same) {
			return ""
		}
		return fmt.Sprintf("with securebits %#x, some of them locked,", v)
	},
}
