package tree

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"floe/lib/kabi"
	"floe/lib/procfs"
	"floe/tests/harness"
)

// of the lines of /proc/PID/status.
var statusLines = []string{"SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt"}

// picture shows what /proc tells of the processes of a tree: whose children they
// are, their sessions and groups, how they ended, what is pending, what they
// share. outer is a session that leads out of the tree.
func picture(t *testing.T, root, outer int) string {
	t.Helper()
	pids := harness.Tree(root)
	slices.Sort(pids)
	var b strings.Builder
	var live []int
	for _, pid := range pids {
		s, err := procfs.ReadStat(pid)
		if err != nil {
			t.Fatal(err)
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			t.Fatal(err)
		}
		if pid == root {
			s.PPID, s.ExitSignal = 0, 0
		}
		if s.Session == outer {
			s.Session = -1
		}
		state := "alive"
		if s.State == 'Z' {
			state = fmt.Sprintf("zombie of status %#x", s.ExitCode)
		} else {
			live = append(live, pid)
		}
		fmt.Fprintf(&b, "%d (%s) child of %d, group %d, session %d, exit signal %d, %s", pid, s.Comm, s.PPID, s.PGRP, s.Session, s.ExitSignal, state)
		for _, line := range strings.Split(string(status), "\n") {
			if name, v, _ := strings.Cut(line, ":\t"); slices.Contains(statusLines, name) && s.State != 'Z' {
				fmt.Fprintf(&b, " %s %s", name, strings.TrimLeft(v, "0"))
			}
		}
		b.WriteByte('\n')
	}
	for kind, name := range map[int]string{kabi.KCMP_VM: "memory", kabi.KCMP_FILES: "descriptors", kabi.KCMP_FS: "directories", kabi.KCMP_SIGHAND: "handlers"} {
		b.WriteString(sharing(t, live, kind, name))
	}
	lines := strings.Split(b.String(), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// sharing lists the processes that share something of a kind.
func sharing(t *testing.T, pids []int, kind int, name string) string {
	t.Helper()
	var b strings.Builder
	done := map[int]bool{}
	for i, p := range pids {
		if done[p] {
			continue
		}
		with := []int{p}
		for _, q := range pids[i+1:] {
			r, _, e := unix.Syscall6(unix.SYS_KCMP, uintptr(p), uintptr(q), uintptr(kind), 0, 0, 0)
			if e != 0 {
				t.Fatalf("kcmp: %v", e)
			}
			if r == 0 {
				with, done[q] = append(with, q), true
			}
		}
		if len(with) > 1 {
			fmt.Fprintf(&b, "%v share their %s\n", with, name)
		}
	}
	return b.String()
}

// begin starts a family, and finds its root.
func begin(t *testing.T, shape string) *harness.Running {
	t.Helper()
	r := harness.Launch(t, harness.Family(shape), nil)
	b, err := os.ReadFile(r.Output())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(string(b), "ready %d", &r.PID); err != nil {
		t.Fatalf("%s: %q", shape, b)
	}
	return r
}
