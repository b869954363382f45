package shapes

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// picture is what /proc says of all tasks: "PID/TID what" to a value.
type picture map[string]string

// taker takes a picture.
type taker struct {
	picture
	inodes map[string]int  // in the order in which they are met
	outer  map[string]bool // sessions and groups of processes that are not looked at
}

// processes are those of the pid namespace, but the worker itself.
func processes() []int {
	pids := slices.DeleteFunc(numbersIn("/proc"), func(n int) bool { return n == 1 })
	slices.Sort(pids)
	return pids
}

// takePicture looks at every task of the processes, in their order: those of the
// tree and others.
func takePicture(inside, outside []int) picture {
	t := &taker{picture{}, map[string]int{}, outer(inside)}
	for _, pid := range slices.Concat(inside, outside) {
		dir := fmt.Sprintf("/proc/%d/", pid)
		zombie := stateOf(pid) == 'Z'
		tids := numbersIn(dir + "task")
		slices.Sort(tids)
		for _, tid := range tids {
			t.thread(fmt.Sprintf("%d/%d ", pid, tid), fmt.Sprintf("%stask/%d/", dir, tid))
		}
		if !zombie || len(tids) > 1 {
			t.process(fmt.Sprintf("%d ", pid), dir)
		}
	}
	return t.picture
}

func (t *taker) thread(key, dir string) {
	stat := readProc(dir + "stat")
	zombie := bytes.Contains(stat, []byte(") Z "))
	t.stat(key, stat, zombie)
	t.status(key, readProc(dir+"status"), zombie)
	if zombie {
		return
	}
	for _, name := range []string{"syscall", "wchan", "children", "timerslack_ns", "personality"} {
		t.picture[key+name] = string(readProc(dir + name))
	}
	children := strings.Fields(t.picture[key+"children"])
	slices.Sort(children)
	t.picture[key+"children"] = strings.Join(children, " ")
	t.picture[key+"syscall"] = restarted.ReplaceAllString(t.picture[key+"syscall"], "wait ")
	if k := key + "timerslack_ns"; t.picture[k] == "0\n" {
		t.picture[k] = "1\n"
	}
}

// outer are the sessions and groups that other processes than the tree's are in,
// and that none of those leads: a restored tree has restore's own in their place.
func outer(pids []int) map[string]bool {
	ids := map[string]bool{}
	for _, pid := range numbersIn("/proc") {
		if slices.Contains(pids, pid) {
			continue
		}
		group, _ := unix.Getpgid(pid)
		session, _ := unix.Getsid(pid)
		ids[strconv.Itoa(group)], ids[strconv.Itoa(session)] = true, true
	}
	for _, pid := range pids {
		delete(ids, strconv.Itoa(pid))
	}
	return ids
}

// stat splits the line after the comm, which may hold anything.
func (t *taker) stat(key string, b []byte, zombie bool) {
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || end < 0 {
		return
	}
	wanted := statFields
	if zombie {
		wanted = zombieFields
	}
	t.picture[key+"stat comm"] = string(b[open+1 : end])
	for i, v := range bytes.Fields(b[end+1:]) {
		if name, ok := wanted[i+3]; ok {
			t.picture[key+"stat "+name] = t.place(name, string(v))
		}
	}
}

// place is a value, or that it is a session or group outside.
func (t *taker) place(name, v string) string {
	switch name {
	case "pgrp", "session", "NSpgid", "NSsid":
		if t.outer[v] {
			return "outer"
		}
	}
	return v
}

func (t *taker) status(key string, b []byte, zombie bool) {
	for _, l := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		name, v, _ := strings.Cut(l, ":")
		if _, out := statusOut[name]; out || zombie && !zombieStatus[name] {
			continue
		}
		t.picture[key+"status "+name] = t.place(name, strings.TrimSpace(v))
		if name == "SigBlk" && strings.Contains(string(b), "\nState:\tT") { // see normal.go
			delete(t.picture, key+"status "+name)
			delete(t.picture, key+"stat blocked")
		}
		if name == "ShdPnd" && strings.Contains(string(b), "\nState:\tT") { // see normal.go
			n, _ := strconv.ParseUint(strings.TrimSpace(v), 16, 64)
			t.picture[key+"status "+name] = strconv.FormatUint(n&^(1<<(unix.SIGCHLD-1)), 16)
		}
	}
}

func (t *taker) process(key, dir string) {
	for _, name := range []string{"limits", "timers", "auxv", "environ", "cmdline", "oom_score_adj", "cgroup", "coredump_filter"} {
		t.picture[key+name] = string(readProc(dir + name))
	}
	for _, name := range []string{"exe", "cwd", "root", "ns/time", "ns/pid", "ns/mnt", "ns/user", "ns/net", "ns/ipc", "ns/uts"} {
		t.picture[key+name] = link(dir + name)
	}
	for _, m := range mappings(readProc(dir + "smaps")) {
		t.picture[key+"map "+m.where()] = m.access + " " + m.offset() + " " + t.inode(m.device+" "+m.inode) + " " + m.path + " " + m.flags
	}
	for _, fd := range numbersIn(dir + "fd") {
		n := strconv.Itoa(fd)
		t.picture[key+"fd "+n] = t.named(link(dir + "fd/" + n))
		t.info(key+"fd "+n+" ", string(readProc(dir+"fdinfo/"+n)))
	}
}

// inode is a number for an inode's number.
func (t *taker) inode(s string) string {
	n, ok := t.inodes[s]
	if !ok {
		n = len(t.inodes)
		t.inodes[s] = n
	}
	return "#" + strconv.Itoa(n)
}

// named replaces the number in what a descriptor leads to, "pipe:[123]".
func (t *taker) named(s string) string {
	kind, rest, ok := strings.Cut(s, ":[")
	if !ok || strings.HasPrefix(s, "/") {
		return s
	}
	return kind + ":" + t.inode(kind+rest)
}

// info are the lines of a descriptor's fdinfo.
func (t *taker) info(key, text string) {
	var locks, targets []string
	for _, l := range strings.Split(strings.TrimSpace(text), "\n") {
		name, v, _ := strings.Cut(l, ":")
		name, v = strings.TrimSpace(name), strings.TrimSpace(v)
		switch name {
		case "ino":
			v = t.inode("ino " + v)
		case "lock":
			locks = append(locks, t.lockLine(v))
			continue
		case "tfd":
			targets = append(targets, strings.Join(strings.Fields(v), " "))
			continue
		case "it_value":
			var sec int
			_, _ = fmt.Sscanf(v, "(%d", &sec)
			name, v = "remaining", strconv.Itoa(sec)
		case "eventfd-id":
			continue
		}
		t.picture[key+name] = v
	}
	slices.Sort(locks)
	t.picture[key+"locks"] = strings.Join(locks, "\n")
	slices.Sort(targets)
	for i, l := range targets {
		head, ino, _ := strings.Cut(l, " ino:")
		ino, _, _ = strings.Cut(ino, " ")
		targets[i] = head + " " + t.inode("ino "+ino)
	}
	t.picture[key+"epoll"] = strings.Join(targets, "\n")
}

// lockLine is "1: POSIX  ADVISORY  WRITE 1234 00:19:77 0 EOF" without the number
// at its head, and without the owner of a flock. A pipe has another inode after a
// restore.
func (t *taker) lockLine(v string) string {
	f := strings.Fields(v)
	if len(f) < 7 {
		return v
	}
	if f[1] == "FLOCK" {
		f[4] = "-"
	}
	if anonymous, ok := strings.CutPrefix(f[5], pipeDevice()+":"); ok {
		f[5] = t.inode("ino " + anonymous)
	}
	return strings.Join(f[1:], " ")
}

// restarted are calls that are restart_syscall(2) once they were interrupted:
// poll, nanosleep, futex, clock_nanosleep.
var restarted = regexp.MustCompile(`^(7|35|202|219|230) `)

// pipeDevice is the device of all pipes, as a lock's line has it.
var pipeDevice = sync.OnceValue(func() string {
	var p [2]int
	var st unix.Stat_t
	if unix.Pipe2(p[:], unix.O_CLOEXEC) != nil || unix.Fstat(p[0], &st) != nil {
		return "?"
	}
	unix.Close(p[0])
	unix.Close(p[1])
	return fmt.Sprintf("%02x:%02x", unix.Major(st.Dev), unix.Minor(st.Dev))
})
