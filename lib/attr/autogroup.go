package attr

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"floe/lib/procfs"
	"floe/lib/record"
)

// autogroup is the nice value of the session among all sessions, sched(7). A new
// session has 0. One that is restore's own keeps what it has.
var autogroup = Attr{
	Name: "autogroup",
	Process: Part[record.Task]{
		Look: func(l *Live, t *record.Task) error {
			nice, err := autogroupNice(l.PID)
			t.Attrs.AutogroupNice = nice
			return err
		},
		Check: func(t *record.Task) error {
			if v := t.Attrs.AutogroupNice; v < -20 || v > 19 {
				return fmt.Errorf("nice %d: there is no such value", v)
			}
			return nil
		},
		Write: func(h *Here, pid int, t *record.Task) error {
			if t.Attrs.AutogroupNice == 0 || !h.ownSession(t) {
				return nil
			}
			have, err := autogroupNice(pid)
			if err != nil || have == t.Attrs.AutogroupNice {
				return err
			}
			return os.WriteFile(fmt.Sprintf("/proc/%d/autogroup", pid), fmt.Append(nil, t.Attrs.AutogroupNice), 0)
		},
	},
}

// autogroupNice is 0 on a kernel that has no autogroups, or has them off.
func autogroupNice(pid int) (nice int32, err error) {
	b, err := procfs.ReadFile(fmt.Sprintf("/proc/%d/autogroup", pid))
	if errors.Is(err, os.ErrNotExist) || err == nil && len(b) == 0 {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	_, rest, _ := bytes.Cut(b, []byte(" nice "))
	if _, err := fmt.Sscan(string(rest), &nice); err != nil {
		return 0, fmt.Errorf("/proc/%d/autogroup: %q", pid, b)
	}
	return nice, nil
}

// ownSession tells whether a task's session is the tree's.
func (h *Here) ownSession(t *record.Task) bool {
	for _, o := range h.Tasks {
		if o.Pid == t.Sid {
			return true
		}
	}
	return t.SessionGone
}
