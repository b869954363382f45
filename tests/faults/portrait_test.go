package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"floe/tests/harness"
)

// portrait is all that /proc says of processes, and stays the same.
func portrait(pids []int) []string {
	var out []string
	for _, pid := range pids {
		s, _ := harness.ReadStat(pid)
		if s.State == "Z" {
			out = append(out, fmt.Sprintf("%d is a zombie: %s, parent %d", pid, s.Comm, s.Parent))
			continue
		}
		add := func(name string, lines []string) {
			for _, l := range lines {
				out = append(out, fmt.Sprintf("%d %s: %s", pid, name, l))
			}
		}
		dir := fmt.Sprintf("/proc/%d", pid)
		add("maps", mappings(dir))
		add("fd", descriptors(dir))
		for _, f := range []string{"limits", "oom_score_adj", "personality", "timers", "environ", "cmdline", "coredump_filter"} {
			add(f, lines(filepath.Join(dir, f)))
		}
		for _, f := range []string{"cwd", "root", "exe"} {
			link, _ := os.Readlink(filepath.Join(dir, f))
			add(f, []string{link})
		}
		for _, tid := range harness.Threads(pid) {
			add(fmt.Sprintf("thread %d", tid), thread(fmt.Sprintf("%s/task/%d", dir, tid)))
		}
		add("vdso", vdsoOf(pid))
	}
	return out
}

func lines(path string) []string {
	b, err := os.ReadFile(path)
	if err != nil || len(b) == 0 {
		return nil
	}
	return strings.Split(strings.TrimRight(string(b), "\n"), "\n")
}

// Numbers of kernel objects, which are others after a restore.
var (
	pipeInode   = regexp.MustCompile(`(pipe|socket|anon_inode):\[\d+\]`)
	deletedFile = regexp.MustCompile(`^(\S+ \S+ \S+) \S+ \d+ +(.*) \(deleted\)$`)
	flockOwner  = regexp.MustCompile(`(FLOCK ADVISORY \w+) \d+`)
	spaces      = regexp.MustCompile(`\s+`)
)

// mappings are the lines of smaps that say what is mapped, and how.
func mappings(dir string) []string {
	var out []string
	for _, l := range lines(dir + "/smaps") {
		name, _, _ := strings.Cut(l, ":")
		switch {
		case name == "VmFlags":
			out[len(out)-1] += strings.ReplaceAll(strings.TrimPrefix(l, "VmFlags:"), " gu", "") // "may have guards": by the page tables
		case strings.ContainsRune(strings.Fields(l)[0], '-'):
			out = append(out, deletedFile.ReplaceAllString(l, "$1 $2"))
		}
	}
	return out
}

// known are differences that the README or the kernel owns up to: a pipe that
// is opened by its name gains O_LARGEFILE, and the pid of an flock is that of
// its maker.
var known = strings.NewReplacer("flags: 021", "flags: 020", "flags: 01", "flags: 00")

// fdFields are what an fdinfo file says that stays the same.
var fdFields = []string{"pos", "flags", "eventfd-count", "clockid", "ticks", "settime flags", "lock", "sigmask"}

func descriptors(dir string) []string {
	var out []string
	fds, _ := filepath.Glob(dir + "/fd/*")
	for _, f := range fds {
		link, _ := os.Readlink(f)
		l := filepath.Base(f) + " -> " + pipeInode.ReplaceAllString(link, "$1")
		for _, i := range lines(dir + "/fdinfo/" + filepath.Base(f)) {
			if name, _, _ := strings.Cut(i, ":"); slices.Contains(fdFields, name) {
				l += ", " + known.Replace(flockOwner.ReplaceAllString(spaces.ReplaceAllString(i, " "), "$1 0"))
			}
		}
		out = append(out, l)
	}
	return out
}

// statusFields are what a status file says that stays the same.
var statusFields = []string{"Name", "Umask", "Tgid", "Pid", "PPid", "TracerPid", "Uid", "Gid", "Groups", "Threads", "SigPnd", "ShdPnd",
	"SigBlk", "SigIgn", "SigCgt", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Cpus_allowed", "VmLck"}

func thread(dir string) []string {
	var out []string
	for _, l := range lines(dir + "/status") {
		name, value, _ := strings.Cut(l, ":\t")
		switch {
		case slices.Contains(statusFields, name):
			out = append(out, spaces.ReplaceAllString(l, " "))
		case name == "State":
			out = append(out, "State "+state(value[:1]))
		}
	}
	for _, l := range lines(dir + "/stat") {
		f := strings.Fields(l[strings.LastIndexByte(l, ')')+1:])
		// ppid, group, session, tty; priority, nice; exit signal, rt priority, policy
		out = append(out, "stat "+strings.Join(append(append(f[1:6:6], f[15:17]...), f[35], f[37], f[38]), " "))
	}
	for _, f := range []string{"timerslack_ns", "comm"} {
		out = append(out, lines(dir+"/"+f)...)
	}
	return out
}

// state does not tell a task that sleeps from one that runs.
func state(s string) string {
	if strings.Contains("RSDI", s) {
		return "S"
	}
	return s
}

// vdsoOf is what a process's vDSO consists of: floe works in it for moments.
func vdsoOf(pid int) []string {
	for _, l := range lines(fmt.Sprintf("/proc/%d/maps", pid)) {
		var start, end uint64
		if !strings.HasSuffix(l, "[vdso]") {
			continue
		}
		if _, err := fmt.Sscanf(l, "%x-%x", &start, &end); err != nil {
			return []string{err.Error()}
		}
		f, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
		if err != nil {
			return []string{err.Error()}
		}
		defer f.Close()
		b := make([]byte, end-start)
		if _, err := f.ReadAt(b, int64(start)); err != nil {
			return []string{err.Error()}
		}
		return []string{digest(b)}
	}
	return nil
}
