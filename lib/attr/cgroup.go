package attr

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"floe/lib/procfs"
	"floe/lib/record"
)

// CgroupMode says which control groups a restored tree is in.
type CgroupMode string

// Modes.
const (
	CgroupsRestore CgroupMode = "restore" // where it was; it is an error when a group is not there
	CgroupsIgnore  CgroupMode = "ignore"  // where it was, as far as the groups are there
	CgroupsHere    CgroupMode = "here"    // restore's own
)

// cgroup is the membership of control groups, a line of /proc/PID/cgroup for each
// hierarchy of version 1 and one for version 2. Tasks mostly are in the group of
// their parent: only others are noted. The first puppet joins the root's groups
// before it makes the others, so that nothing of the tree counts elsewhere.
var cgroup = Attr{
	Name: "control group",
	Process: Part[record.Task]{
		Look: func(l *Live, t *record.Task) error {
			text, err := readGroups(l.PID)
			if err != nil {
				return err
			}
			l.Dump.note(l.PID, text)
			if l.Dump.groups[l.Stat.PPID] != text {
				t.Attrs.Cgroups = []byte(text)
			}
			return nil
		},
		Check: func(t *record.Task) error {
			_, err := parseGroups(t.Attrs.Cgroups)
			return err
		},
		Cannot: func(h *Here, t *record.Task) error { return h.cannotJoin(t.Attrs.Cgroups) },
		Place: func(h *Here, pid int, t *record.Task) error {
			if want := h.groupsOf(t); want != h.groupsOf(h.Tasks[0]) {
				return h.join(want, h.groupsOf(h.Tasks[0]), pid, "cgroup.procs", "cgroup.procs")
			}
			return nil
		},
	},
	Thread: Part[record.Thread]{
		Look: func(l *Live, t *record.Thread) error {
			if l.TID == l.PID {
				return nil
			}
			text, err := readGroups(l.TID)
			if text != l.Dump.groups[l.PID] {
				t.Attrs.Cgroups = []byte(text)
			}
			return err
		},
		Check: func(t *record.Thread) error {
			_, err := parseGroups(t.Attrs.Cgroups)
			return err
		},
		Cannot: func(h *Here, t *record.Thread) error { return h.cannotJoin(t.Attrs.Cgroups) },
		Write: func(h *Here, tid int, t *record.Thread) error {
			if len(t.Attrs.Cgroups) == 0 {
				return nil
			}
			return h.join(string(t.Attrs.Cgroups), h.groupsOf(h.task(t.Pid)), tid, "tasks", "cgroup.threads")
		},
	},
	Place: func(h *Here, pid int) error {
		return h.join(h.groupsOf(h.Tasks[0]), string(h.Process.Attrs.Cgroups), pid, "cgroup.procs", "cgroup.procs")
	},
}

// readGroups is /proc/TID/cgroup without the numbers of the hierarchies; "" on a
// kernel that has no control groups.
func readGroups(tid int) (string, error) {
	b, err := procfs.ReadFile(fmt.Sprintf("/proc/%d/cgroup", tid))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	var out strings.Builder
	for line := range strings.Lines(string(b)) {
		_, rest, _ := strings.Cut(line, ":")
		out.WriteString(rest)
	}
	return out.String(), err
}

func (d *Dump) note(pid int, groups string) {
	if d.groups == nil {
		d.groups = map[int]string{}
	}
	d.groups[pid] = groups
}

// parseGroups gives the path in each hierarchy, by its controllers ("": version
// 2).
func parseGroups(text []byte) (map[string]string, error) {
	out := map[string]string{}
	for line := range strings.Lines(string(text)) {
		key, path, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		if !ok || !strings.HasPrefix(path, "/") || strings.ContainsRune(path, 0) {
			return nil, fmt.Errorf("%q: there is no such group", line)
		}
		out[key] = path
	}
	return out, nil
}

// groupsOf is what a task's record says, or that of the nearest ancestor that
// says something.
func (h *Here) groupsOf(t *record.Task) string {
	for ; t != nil; t = h.task(t.Ppid) {
		if g := t.GetAttrs().GetCgroups(); len(g) > 0 {
			return string(g)
		}
	}
	return string(h.Process.Attrs.Cgroups) // an older version's image
}

func (h *Here) task(pid int32) *record.Task {
	if h.byPID == nil {
		h.byPID = map[int32]*record.Task{}
		for _, t := range h.Tasks {
			h.byPID[t.Pid] = t
		}
	}
	return h.byPID[pid]
}

// cannotJoin tells why a task can't be where it was. What others have said
// already it does not say again.
func (h *Here) cannotJoin(text []byte) error {
	if h.Cgroups != CgroupsRestore || len(text) == 0 || h.said[string(text)] {
		return nil
	}
	if h.said == nil {
		h.said = map[string]bool{}
	}
	h.said[string(text)] = true
	want, err := parseGroups(text)
	if err != nil {
		return err
	}
	own, err := parseGroups(h.Process.Attrs.Cgroups)
	if err != nil {
		return err
	}
	for key, path := range want {
		if here, has := own[key]; here == path || !has && path == "/" {
			continue
		}
		if _, err := groupDir(key, path); err != nil {
			return fmt.Errorf("it was in %s: %w; make that group, or choose --cgroups here (restore's own groups) or ignore (those that are there)", groupName(key, path), err)
		}
	}
	return nil
}

func groupName(key, path string) string {
	if key == "" {
		return path
	}
	return key + ":" + path
}

// join moves a task from the groups that it inherited to others, as far as the
// mode wants it; the files are those of version 1 and 2 to write its id to.
func (h *Here) join(text, from string, id int, file1, file2 string) error {
	if h.Cgroups == CgroupsHere || text == from {
		return nil
	}
	want, err := parseGroups([]byte(text))
	if err != nil {
		return err
	}
	have, err := parseGroups([]byte(from))
	if err != nil {
		return err
	}
	for key, path := range want {
		if here, has := have[key]; here == path || !has && path == "/" {
			continue
		}
		dir, err := groupDir(key, path)
		if err == nil {
			file := file2
			if key != "" {
				file = file1
			}
			err = os.WriteFile(dir+"/"+file, fmt.Append(nil, id), 0)
		}
		if err != nil && h.Cgroups != CgroupsIgnore {
			return fmt.Errorf("%s: %w", groupName(key, path), err)
		}
	}
	return nil
}

// groupDir is the directory of a group that a task can join.
func groupDir(key, path string) (string, error) {
	mounts, err := cgroupMounts()
	if err != nil {
		return "", err
	}
	why := errors.New("its hierarchy is not mounted here")
	for _, m := range mounts {
		dir, ok := m.dir(key, path)
		if !ok {
			continue
		}
		if why = unix.Access(dir+"/cgroup.procs", unix.W_OK); why == nil {
			why = frozen(dir)
		} else if errors.Is(why, os.ErrNotExist) {
			why = fmt.Errorf("%s is not there", dir)
		} else {
			why = fmt.Errorf("%s: %w", dir, why)
		}
		if why == nil {
			return dir, nil
		}
	}
	return "", why
}

// frozen is an error about a group in which no puppet would run.
func frozen(dir string) error {
	events, err := os.ReadFile(dir + "/cgroup.events") // of version 2
	state, err1 := os.ReadFile(dir + "/freezer.state")
	if err == nil && strings.Contains(string(events), "frozen 1") || err1 == nil && !strings.HasPrefix(string(state), "THAWED") {
		return fmt.Errorf("%s is frozen; thaw it", dir)
	}
	return nil
}
