package attr

// seccomp is a filter of system calls, which no task gets rid of. A task that has
// one is refused at dump (lib/freezer), so the tree has none.
var seccomp = Attr{
	Name: "seccomp",
	Fixed: func(h *Here) string {
		if h.Status.Seccomp == 0 {
			return ""
		}
		return "under a seccomp filter"
	},
}
