package attr

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"floe/lib/record"
	"floe/lib/stub"
)

// noLogin says that nobody has logged in, AUDIT_UID_UNSET of <linux/audit.h>.
const noLogin = 1<<32 - 1

// login is whom the audit subsystem holds responsible. Only the task itself can
// set the user, and gets another session for it each time, whose number the
// kernel chooses: the number is lost but where there is none, or restore is in
// the same session. The first puppet takes the root's login, so that the tasks
// that had the root's session are in one session again.
var login = Attr{
	Name: "audit login",
	Process: Part[record.Task]{
		Look: func(l *Live, t *record.Task) error {
			uid, session, err := readLogin(l.PID)
			t.Attrs.LoginUid, t.Attrs.LoginSession = uid, session
			return err
		},
		Cannot: func(h *Here, t *record.Task) error {
			own := h.Process.Attrs
			if t.Attrs.LoginUid != own.LoginUid && own.LoginUid != noLogin && !h.May(unix.CAP_AUDIT_CONTROL) {
				return fmt.Errorf("it was user %d's, and restore, which user %d has logged in for, needs CAP_AUDIT_CONTROL to say so", int32(t.Attrs.LoginUid), own.LoginUid)
			}
			return nil
		},
		Early: func(h *Here, t *record.Task) []stub.Call {
			if root := h.Tasks[0].Attrs; root != nil && sameLogin(t.Attrs, root) {
				return nil
			}
			return writeLogin(t.Attrs)
		},
	},
	Thread: Part[record.Thread]{
		Look: func(l *Live, t *record.Thread) error {
			if l.TID == l.PID || l.Leader.GetAttrs() == nil {
				return nil
			}
			uid, session, err := readLogin(l.TID)
			if p := l.Leader.Attrs; err == nil && (uid != p.LoginUid || session != p.LoginSession) {
				err = fmt.Errorf("thread %d has another audit login (/proc/TID/loginuid) than its process; such a thread can't be saved yet", l.TID)
			}
			return err
		},
	},
	Seed: func(h *Here) []stub.Call {
		root := h.Tasks[0].Attrs
		if root == nil || sameLogin(root, h.Process.Attrs) {
			return nil
		}
		return writeLogin(root)
	},
}

func readLogin(id int) (uid, session uint32, err error) {
	u, err := procNumber(id, "loginuid", 10, noLogin)
	if err != nil {
		return 0, 0, err
	}
	s, err := procNumber(id, "sessionid", 10, noLogin)
	return uint32(u), uint32(s), err
}

// sameLogin tells whether tasks are of one login. Of one user's two sessions the
// tree gets restore's: another number would be no better.
func sameLogin(a, b *record.ProcessAttrs) bool { return a.LoginUid == b.LoginUid }

func writeLogin(a *record.ProcessAttrs) []stub.Call {
	text := strconv.FormatUint(uint64(a.LoginUid), 10)
	return inFile("/proc/self/loginuid", text)
}
