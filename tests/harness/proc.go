package harness

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Exists tells whether a process has the id, be it a zombie.
func Exists(pid int) bool {
	_, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
	return err == nil
}

// Stat is what the tests need of /proc/PID/stat and status.
type Stat struct {
	State  string // "R", "S", "t", "Z", …
	Parent int
	Tracer int
	Comm   string
}

// ReadStat reads a thread's; ok is false when it is gone.
func ReadStat(tid int) (s Stat, ok bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", tid))
	if err != nil {
		return s, false
	}
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	f := strings.Fields(string(b[end+1:]))
	s.Comm, s.State = string(b[open+1:end]), f[0]
	s.Parent, _ = strconv.Atoi(f[1])
	if b, err = os.ReadFile(fmt.Sprintf("/proc/%d/status", tid)); err != nil {
		return s, false
	}
	_, rest, _ := strings.Cut(string(b), "\nTracerPid:\t")
	line, _, _ := strings.Cut(rest, "\n")
	s.Tracer, _ = strconv.Atoi(line)
	return s, true
}

// Threads are the ids of a process's threads; none when it is gone.
func Threads(pid int) []int { return numbers(fmt.Sprintf("/proc/%d/task/*", pid)) }

// Processes are the ids of all processes.
func Processes() []int { return numbers("/proc/[0-9]*") }

func numbers(pattern string) []int {
	paths, _ := filepath.Glob(pattern)
	var out []int
	for _, p := range paths {
		if n, err := strconv.Atoi(filepath.Base(p)); err == nil {
			out = append(out, n)
		}
	}
	return out
}

// Tree are the ids of a process and all its descendants, zombies too.
func Tree(root int) []int {
	if !Exists(root) {
		return nil
	}
	out := []int{root}
	for i := 0; i < len(out); i++ {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", out[i]))
		for _, f := range tasks {
			b, _ := os.ReadFile(f)
			for _, s := range strings.Fields(string(b)) {
				if n, err := strconv.Atoi(s); err == nil {
					out = append(out, n)
				}
			}
		}
	}
	return out
}

// WaitGone waits until the kernel has forgotten the processes: killed, and
// waited for.
func WaitGone(t testing.TB, pids []int) {
	t.Helper()
	until := time.Now().Add(10 * time.Second)
	for _, pid := range pids {
		for Exists(pid) {
			if time.Now().After(until) {
				s, _ := ReadStat(pid)
				t.Fatalf("process %d is still there: %+v", pid, s)
			}
			time.Sleep(time.Millisecond)
		}
	}
}

// Trapped are the threads of a tree that are stopped or traced, one a line.
func Trapped(root int) []string {
	var out []string
	for _, pid := range Tree(root) {
		for _, tid := range Threads(pid) {
			s, ok := ReadStat(tid)
			if ok && (s.Tracer != 0 || s.State == "t" || s.State == "T") {
				out = append(out, fmt.Sprintf("task %d (%s) of %d: state %s, tracer %d", tid, s.Comm, pid, s.State, s.Tracer))
			}
		}
	}
	return out
}

// Picture is what a process has mapped and open, one a line.
func Picture(pid int) []string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return nil
	}
	out := strings.Split(strings.TrimSpace(string(b)), "\n")
	for _, fd := range numbers(fmt.Sprintf("/proc/%d/fd/*", pid)) {
		link, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, fd))
		out = append(out, fmt.Sprintf("fd %d -> %s", fd, link))
	}
	return out
}

// Difference are the lines that only one of a and b has, marked - and +.
func Difference(a, b []string) []string {
	var out []string
	for _, l := range a {
		if !slices.Contains(b, l) {
			out = append(out, "- "+l)
		}
	}
	for _, l := range b {
		if !slices.Contains(a, l) {
			out = append(out, "+ "+l)
		}
	}
	return out
}
