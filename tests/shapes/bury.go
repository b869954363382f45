package shapes

import (
	"fmt"
	"slices"
	"strings"
)

// bury lets every task wait for its children that have ended: the statuses must
// be those that its report told, and no signal may come with it.
func (t *tree) bury(reports map[int]string) error {
	var out []string
	waited := map[uint32]bool{} // processes: threads wait for the same children
	for i := range t.c.slot {
		s := &t.c.slot[i]
		if _, ok := reports[i]; !ok || !t.ready(i) || waited[s.tgid] {
			continue
		}
		waited[s.tgid] = true
		if _, err := t.run(Step{Task: i, Code: mustCode("reap")}); err != nil {
			return err
		}
		told, said := zombies(reports[i]), endings(string(s.text[:s.length]))
		if !slices.Equal(told, said) {
			out = append(out, fmt.Sprintf("%d report: waitid told of %q, wait4 said %q", s.tid, told, said))
		}
	}
	if err := t.settle(); err != nil {
		return err
	}
	now, err := t.reports()
	if err != nil {
		return err
	}
	for i, then := range reports {
		for _, l := range reportDifference(signalLines(then), signalLines(now[i]), false) {
			out = append(out, fmt.Sprintf("%d after the waits: %s", t.c.slot[i].tid, l))
		}
	}
	return differ(out)
}

// zombies are the children that a report tells of, as "pid status", sorted.
func zombies(report string) (out []string) {
	for _, l := range strings.Split(report, "\n") {
		var pid, signo, code, status int
		if n, _ := fmt.Sscanf(l, "child %x %x %x %x", &pid, &signo, &code, &status); n != 4 {
			continue
		}
		switch code { // CLD_EXITED, CLD_KILLED, CLD_DUMPED
		case 1:
			out = append(out, fmt.Sprintf("%d %#x", pid, status<<8))
		case 2:
			out = append(out, fmt.Sprintf("%d %#x", pid, status))
		case 3:
			out = append(out, fmt.Sprintf("%d %#x", pid, status|0x80))
		}
	}
	slices.Sort(out)
	return out
}

// endings are what wait4 said, in the same way.
func endings(text string) (out []string) {
	for _, l := range strings.Split(text, "\n") {
		var pid, status int
		if n, _ := fmt.Sscanf(l, "ended %x %x", &pid, &status); n == 2 {
			out = append(out, fmt.Sprintf("%d %#x", pid, status))
		}
	}
	slices.Sort(out)
	return out
}

func signalLines(report string) string {
	lines := slices.DeleteFunc(strings.Split(report, "\n"), func(l string) bool {
		return !strings.HasPrefix(l, "handled") && !strings.HasPrefix(l, "pending")
	})
	return strings.Join(lines, "\n")
}
