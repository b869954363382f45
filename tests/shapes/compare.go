package shapes

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// tids are the tasks of a picture.
func (p picture) tids() []int {
	found := map[int]bool{}
	for k := range p {
		if _, rest, ok := strings.Cut(k, "/"); ok {
			tid, _, _ := strings.Cut(rest, " ")
			if n, err := strconv.Atoi(tid); err == nil && !strings.HasSuffix(k, "stat state") {
				found[n] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// living are those that aren't zombies: these have nothing left to share.
func (p picture) living() []int {
	return slices.DeleteFunc(p.tids(), func(tid int) bool { return stateOf(tid) == 'Z' })
}

// difference are the lines in which two pictures differ.
func (p picture) difference(q picture) (out []string) {
	gone := q.without(p)
	for k, v := range p {
		w, ok := q[k]
		pid, _, _ := strings.Cut(k, " ")
		switch {
		case gone[pid]:
		case !ok:
			out = append(out, fmt.Sprintf("%s: %q is gone", k, v))
		case v != w && !(strings.HasSuffix(k, " remaining") && ran(v, w, 10)):
			out = append(out, fmt.Sprintf("%s: %q became %q", k, v, w))
		}
	}
	for k, w := range q {
		if _, ok := p[k]; !ok {
			out = append(out, fmt.Sprintf("%s: %q is new", k, w))
		}
	}
	for _, pid := range slices.Sorted(maps.Keys(gone)) {
		out = append(out, fmt.Sprintf("task %s is gone", pid))
	}
	slices.Sort(out)
	return out
}

// without are the tasks, "PID" and "PID/TID", of which only p tells.
func (q picture) without(p picture) map[string]bool {
	out := map[string]bool{}
	for k := range p {
		pid, _, _ := strings.Cut(k, " ")
		out[pid] = true
	}
	for k := range q {
		pid, _, _ := strings.Cut(k, " ")
		delete(out, pid)
	}
	return out
}

// ran tells whether a time that was left has become less, by not too much. The
// kernel rounds what it tells of CPU timers: one more is no more.
func ran(v, w string, base int) bool {
	a, err := strconv.ParseInt(strings.TrimSpace(v), base, 64)
	b, err2 := strconv.ParseInt(strings.TrimSpace(w), base, 64)
	return err == nil && err2 == nil && b <= a+1 && a-b <= slack && (a == 0) == (b == 0)
}

// reportDifference compares what one task said.
func reportDifference(a, b string, wasStopped bool) (out []string) {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	if wasStopped {
		late := func(s string) bool { return strings.HasPrefix(s, "handled") || strings.HasPrefix(s, "pending") }
		x, y = slices.DeleteFunc(x, late), slices.DeleteFunc(y, late)
	}
	for i := range max(len(x), len(y)) {
		var v, w string
		if i < len(x) {
			v = x[i]
		}
		if i < len(y) {
			w = y[i]
		}
		left, ok := strings.CutPrefix(v, "remaining ")
		if now, ok2 := strings.CutPrefix(w, "remaining "); ok && ok2 && ran(left, now, 16) {
			continue
		}
		if v != w {
			out = append(out, fmt.Sprintf("report: %q became %q", v, w))
		}
	}
	return out
}

// keep forgets all tasks but those of some processes.
func (s *state) keep(pids []int, c *control) {
	for k := range s.picture {
		pid, _, _ := strings.Cut(k, " ")
		pid, _, _ = strings.Cut(pid, "/")
		n, err := strconv.Atoi(pid)
		for i := range c.slot {
			if int(c.slot[i].tid) == n {
				n = int(c.slot[i].tgid) // lines of sharing begin with a thread's id
				break
			}
		}
		if err == nil && !slices.Contains(pids, n) {
			delete(s.picture, k)
		}
	}
	for i := range s.reports {
		if !slices.Contains(pids, int(c.slot[i].tgid)) {
			delete(s.reports, i)
		}
	}
}

// after compares with what was before, lets the tree go on, and compares what
// comes then. untouched: it was not restored.
func (t *tree) after(before *state, stopped map[int]bool, early map[int]string, untouched bool) error {
	var out []string
	for range 5 { // a task may not be back in its call yet
		if err := t.settle(); err != nil {
			return err
		}
		if out = t.differs(before, untouched); len(out) == 0 {
			break
		}
		time.Sleep(2 * time.Millisecond)
	}
	if err := differ(out); err != nil {
		return err
	}
	now, err := t.reports()
	if err != nil {
		return err
	}
	if err := differ(t.compareReports(before.reports, now, nil)); err != nil {
		return err
	}
	if err := t.goOn(); err != nil {
		return err
	}
	if now, err = t.reports(); err != nil {
		return err
	}
	if err := differ(t.compareReports(early, now, stopped)); err != nil {
		return err
	}
	return t.bury(now)
}

// differs compares all that can be seen without asking the tasks.
func (t *tree) differs(before *state, untouched bool) []string {
	p := t.look()
	var out []string
	if !untouched {
		c := takeContents(before.contents)
		out = compareContents(before.contents, c, func(pid int, addr uint64) bool { return !anonymousAt(pid, addr) })
	}
	if err := t.takeQueues(p); err != nil {
		out = append(out, err.Error())
	}
	return append(before.picture.difference(p), out...)
}

func anonymousAt(pid int, addr uint64) bool {
	for _, m := range mappings(readProc(fmt.Sprintf("/proc/%d/smaps", pid))) {
		if m.from <= addr && addr < m.to {
			return m.anonymous()
		}
	}
	return true
}

// compareReports compares those of the given slots, or of all.
func (t *tree) compareReports(before, after map[int]string, only map[int]bool) (out []string) {
	for _, i := range slices.Sorted(maps.Keys(before)) {
		if only != nil && !only[i] || t.ended[int(t.c.slot[i].tgid)] != 0 && t.state(i) == 0 && t.result.Retried > 0 {
			continue
		}
		now, ok := after[i]
		if !ok {
			out = append(out, fmt.Sprintf("task %d (slot %d) does not answer", t.c.slot[i].tid, i))
			continue
		}
		for _, l := range reportDifference(before[i], now, only != nil) {
			out = append(out, fmt.Sprintf("%d %s", t.c.slot[i].tid, l))
		}
	}
	return out
}

// differ makes a failure of differences.
func differ(lines []string) error {
	if len(lines) == 0 {
		return nil
	}
	return &failure{Differs, lines[0], strings.Join(lines[:min(len(lines), 20)], "\n")}
}
