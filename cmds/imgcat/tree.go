package main

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"floe/lib/cli"
	"floe/lib/image"
	"floe/lib/record"
)

// tree prints tasks under their parents. It keeps its place by itself: a tree
// may be as deep as it has tasks.
type tree struct {
	*cli.Printer
	im       *image.Image
	children map[int32][]*record.Task
	levels   [][]*record.Task // of every level: the task there, and the siblings after it
}

// printTree prints the tree of tasks.
func printTree(p *cli.Printer, im *image.Image) {
	if len(im.Tasks) == 0 {
		return
	}
	t := &tree{Printer: p, im: im, children: map[int32][]*record.Task{}}
	for _, c := range im.Tasks[1:] {
		t.children[c.Ppid] = append(t.children[c.Ppid], c)
	}
	p.Line("")
	p.Line("%8s %8s %8s %6s %7s  %-8s %s", "PID", "PGID", "SID", "UID", "THREADS", "STATE", "COMMAND")
	t.task(im.Tasks[0])
	t.descend(im.Tasks[0])
	for n := len(t.levels); n > 0; n = len(t.levels) {
		c := t.levels[n-1][0]
		t.task(c)
		if t.descend(c) {
			continue
		}
		for n > 0 && len(t.levels[n-1]) == 1 {
			n--
		}
		if t.levels = t.levels[:n]; n > 0 {
			t.levels[n-1] = t.levels[n-1][1:]
		}
	}
}

// descend goes to a task's first child, if it has one.
func (t *tree) descend(task *record.Task) bool {
	children := t.children[task.Pid]
	if len(children) == 0 {
		return false
	}
	t.levels = append(t.levels, children)
	return true
}

func (t *tree) task(task *record.Task) {
	state, end := t.state(task)
	t.Line("%8d %8d %8d %6s %7d  %-8s %s%s%s", task.Pid, task.Pgid, task.Sid, t.uid(task), len(task.Tids), state, t.branch(), task.Comm, end)
}

// maxLevels bounds how much of a deep tree is drawn; without it, the lines of
// one would take its size squared.
const maxLevels = 24

// branch is what stands before a task that is no root.
func (t *tree) branch() string {
	levels := t.levels
	var b strings.Builder
	if n := len(levels) - maxLevels; n > 0 {
		levels = levels[n:]
		fmt.Fprintf(&b, "(%d levels) ", n)
	}
	for i, rest := range levels {
		switch last, end := len(rest) == 1, i == len(levels)-1; {
		case end && last:
			b.WriteString("└─ ")
		case end:
			b.WriteString("├─ ")
		case last:
			b.WriteString("   ")
		default:
			b.WriteString("│  ")
		}
	}
	return b.String()
}

// state is a task's, and what there is to say of how it came to it.
func (t *tree) state(task *record.Task) (state, how string) {
	switch task.State {
	case record.Task_RUNNING:
		return "running", ""
	case record.Task_STOPPED:
		return "stopped", " (by " + signalName(int(task.StopSignal)) + ")"
	case record.Task_ZOMBIE:
		ws := unix.WaitStatus(task.ExitCode)
		if ws.Signaled() {
			return "zombie", " (ended by " + signalName(int(ws.Signal())) + ")"
		}
		return "zombie", fmt.Sprintf(" (ended with status %d)", ws.ExitStatus())
	}
	return strconv.Itoa(int(task.State)), ""
}

// uid is a task's real user, and the effective one where that is another.
func (t *tree) uid(task *record.Task) string {
	th := t.im.Thread(task.Pid)
	if th == nil {
		return "-"
	}
	uid := strconv.Itoa(int(th.GetCreds().GetRuid()))
	if e := th.GetCreds().GetEuid(); e != th.GetCreds().GetRuid() {
		uid += "/" + strconv.Itoa(int(e))
	}
	return uid
}

// signalName is "SIGTERM", or the number of a signal that has no name.
func signalName(n int) string {
	if s := unix.SignalName(unix.Signal(n)); s != "" {
		return s
	}
	return "signal " + strconv.Itoa(n)
}
