package attr

import "floe/lib/record"

// noNewPrivs is the flag that keeps execve(2) from granting privileges. Once it
// is set it stays. lib/freezer reads it, plan.Credentials sets it.
var noNewPrivs = Attr{
	Name: "no_new_privs",
	Fixed: func(h *Here) string {
		if !h.Status.NoNew || h.every(func(th *record.Thread) bool { return th.GetCreds().GetNoNewPrivs() }) {
			return ""
		}
		return "with no_new_privs set"
	},
}
