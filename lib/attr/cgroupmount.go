package attr

import (
	"slices"
	"strings"

	"floe/lib/procfs"
)

// cgroupMount is a mounted hierarchy.
type cgroupMount struct {
	controllers []string // nil: version 2
	root, point string
}

// cgroupMounts lists them, by /proc/self/mountinfo.
func cgroupMounts() ([]cgroupMount, error) {
	b, err := procfs.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	return parseCgroupMounts(string(b)), nil
}

// parseCgroupMounts parses mountinfo, proc_pid_mountinfo(5).
func parseCgroupMounts(text string) (list []cgroupMount) {
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	for line := range strings.Lines(text) {
		before, after, _ := strings.Cut(line, " - ")
		f, g := strings.Fields(before), strings.Fields(after)
		if len(f) < 5 || len(g) < 3 || g[0] != "cgroup" && g[0] != "cgroup2" {
			continue
		}
		m := cgroupMount{root: unescape.Replace(f[3]), point: unescape.Replace(f[4])}
		if g[0] == "cgroup" {
			m.controllers = strings.Split(g[2], ",")
		}
		list = append(list, m)
	}
	return list
}

// dir is where a group of a hierarchy is in a mount; false: not in this one.
func (m *cgroupMount) dir(key, path string) (string, bool) {
	if key == "" {
		if m.controllers != nil {
			return "", false
		}
	} else {
		for c := range strings.SplitSeq(key, ",") {
			if !slices.Contains(m.controllers, c) {
				return "", false
			}
		}
	}
	if slices.Contains(strings.Split(path, "/"), "..") {
		return "", false // outside of this cgroup namespace
	}
	if m.root != "/" {
		rest, ok := strings.CutPrefix(path, m.root)
		if !ok || rest != "" && rest[0] != '/' {
			return "", false
		}
		path = rest
	}
	return m.point + path, true
}
