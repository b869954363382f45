package shapes

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// members are the processes of the tree: the root and all below it.
func (t *tree) members() []int {
	out := []int{t.root}
	for i := 0; i < len(out); i++ {
		dir := fmt.Sprintf("/proc/%d/task", out[i])
		for _, tid := range numbersIn(dir) {
			for _, s := range strings.Fields(string(readProc(fmt.Sprintf("%s/%d/children", dir, tid)))) {
				if n, err := strconv.Atoi(s); err == nil {
					out = append(out, n)
				}
			}
		}
	}
	return out
}

// checkpoint runs the pipeline with --then kill. refused is the dump's no: the
// tree runs on.
func (t *tree) checkpoint(members []int) (refused, err error) {
	image, err := os.OpenFile(t.image(), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	defer image.Close()
	pids, said, err := t.pipeline(image)
	if err != nil {
		return nil, err
	}
	var frozen, dumped unix.WaitStatus
	for i, pid := range pids {
		s := t.reap(pid)
		if i == 0 {
			frozen = s
		}
		dumped = s // the last stage's is the whole pipeline's
	}
	line := said()
	if frozen == 0 && dumped == 0 {
		return nil, t.gone(members)
	}
	if stateOf(t.root) == 0 || stateOf(t.root) == 'Z' {
		return nil, &failure{Lost, "the dump failed, and the tree is gone: " + line, ""}
	}
	if line == "" || strings.Contains(line, "panic") || strings.Contains(line, "goroutine ") {
		return nil, &failure{Unnamed, fmt.Sprintf("freeze: %#x, pagedump: %#x: %s", frozen, dumped, line), ""}
	}
	return &failure{Refused, line, ""}, nil
}

// pipeline starts the stages. said reads what they said, once they have ended.
func (t *tree) pipeline(image *os.File) (pids []int, said func() string, err error) {
	messages, err := t.messages()
	if err != nil {
		return nil, nil, err
	}
	stages := [][]string{{"freeze", "--then", "kill", strconv.Itoa(t.root)}, {"vmadump"}, {"vdsoprobe"}, {"fddump"}, {"pagedump"}}
	in, err := os.Open("/dev/null")
	if err != nil {
		return nil, nil, err
	}
	for i, argv := range stages {
		out, next := image, (*os.File)(nil)
		if i < len(stages)-1 {
			if next, out, err = os.Pipe(); err != nil {
				return nil, nil, err
			}
		}
		argv[0] = filepath.Join(t.bin, argv[0])
		// In groups of their own, as in a shell: the end of a tree has the kernel
		// send SIGHUP to the worker's, where somebody else in it is stopped.
		pid, err := t.spawn([3]*os.File{in, out, messages}, &unix.SysProcAttr{Setpgid: true}, argv...)
		in.Close()
		if out != image {
			out.Close()
		}
		if err != nil {
			return nil, nil, err
		}
		pids, in = append(pids, pid), next
	}
	return pids, func() string { return firstLine(messages) }, nil
}

// firstLine is the first line that a program said, in full if it isn't one of ours.
func firstLine(f *os.File) string {
	defer f.Close()
	b, err := os.ReadFile(f.Name())
	if err != nil {
		return err.Error()
	}
	s := strings.TrimSpace(string(b))
	if strings.Contains(s, "goroutine ") {
		return s
	}
	first, _, _ := strings.Cut(s, "\n")
	return first
}

// gone waits until no process of a killed tree is left.
func (t *tree) gone(members []int) error {
	end := time.Now().Add(5 * time.Second)
	for _, pid := range members {
		for stateOf(pid) != 0 {
			t.sweep()
			if time.Now().After(end) {
				return &failure{Lost, fmt.Sprintf("process %d is left of the killed tree", pid), ""}
			}
			time.Sleep(20 * time.Microsecond)
		}
	}
	t.ended = map[int]unix.WaitStatus{}
	return nil
}

// restore brings it back. Tasks outside of the tree may hold a pid of it, as
// the id of their group or session: then they end, and it is tried again.
func (t *tree) restore(before *state, members []int) error {
	err := t.tryRestore()
	var f *failure
	if errors.As(err, &f) && strings.Contains(f.reason, " is taken: it is the ") {
		t.result.Retried++
		t.endOthers()
		before.keep(members, t.c)
		err = t.tryRestore()
	}
	return err
}

// endOthers ends all tasks; there is no tree at this time.
func (t *tree) endOthers() {
	_ = unix.Kill(-1, unix.SIGKILL)
	for len(processes()) > 0 {
		t.sweep()
		time.Sleep(50 * time.Microsecond)
	}
}

// tryRestore runs restore. If it says no, nothing may be left.
func (t *tree) tryRestore() error {
	others := processes() // outside of the tree
	messages, err := t.messages()
	if err != nil {
		return err
	}
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	pid, err := t.spawn([3]*os.File{null, null, messages}, nil, filepath.Join(t.bin, "restore"), "-d", t.image())
	if err != nil {
		return err
	}
	status := t.reap(pid)
	said := firstLine(messages)
	if status == 0 {
		return t.settle()
	}
	t.sweep()
	left := processes()
	f := &failure{NotBack, said, fmt.Sprintf("restore: %#x", status)}
	if len(left) > len(others) {
		f.reason = "restore failed and left processes: " + said
	}
	return f
}
