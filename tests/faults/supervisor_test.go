package faults

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"floe/tests/harness"
)

// ownText is where the victim's own code lies: it is linked there, and floe
// puts nothing there.
const ownTextStart, ownTextEnd = 0x400000, 0x800000

// supervised is a program whose system calls this process answers.
type supervised struct {
	*harness.Proc
	program  string
	tree     []int // process and thread ids that will be the tree's
	text     *text
	fault    *fault // nil: only look
	listener int
	over     chan struct{} // closed when nothing that it made is left

	mu    sync.Mutex
	begun bool            // the launcher has become the program
	seen  map[point]int   // kind to how often
	who   map[uint32]role // by thread id
	list  []point         // in order
	hit   bool
	err   error
}

type role struct {
	name   string
	own    bool // a thread of the program itself
	isTree bool
}

// supervise starts a program of floe with a fault to come.
func supervise(t testing.TB, f *fault, tree []int, stdin io.Reader, stdout io.Writer, program string, args ...string) *supervised {
	t.Helper()
	filterOnce.Do(func() { harness.CompiledC("filter", "-static")(t, harness.Scratch) })
	s := &supervised{program: program, tree: tree, text: textOf(t, program), fault: f, over: make(chan struct{}), seen: map[point]int{}, who: map[uint32]role{}}
	cmd := append([]string{filepath.Join(harness.Bin, program)}, args...)
	s.Proc = harness.Start(t, stdin, stdout, filepath.Join(harness.Scratch, "filter"), cmd...)
	var err error
	if s.listener, err = listenerOf(s.Cmd.Process.Pid); err != nil {
		s.Kill()
		t.Fatalf("%s has no filter: %v", program, err)
	}
	go s.serve()
	return s
}

var filterOnce sync.Once

// listenerOf fetches the listener of a process that waits for its answer.
func listenerOf(pid int) (int, error) {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(pidfd)
	dir := fmt.Sprintf("/proc/%d/fd/", pid)
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(100 * time.Microsecond) {
		for fd := 3; fd < 10; fd++ {
			if link, err := os.Readlink(dir + strconv.Itoa(fd)); err == nil && link == "anon_inode:seccomp notify" {
				return unix.PidfdGetfd(pidfd, fd, 0)
			}
		}
	}
	return -1, os.ErrDeadlineExceeded
}

// serve answers until nobody is left under the filter.
func (s *supervised) serve() {
	defer close(s.over)
	defer unix.Close(s.listener)
	for {
		fds := []unix.PollFd{{Fd: int32(s.listener), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); err != nil && err != unix.EINTR {
			s.fail(err)
			return
		}
		if fds[0].Revents&unix.POLLIN == 0 {
			if fds[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0 {
				return
			}
			continue
		}
		var n notification
		if err := receive(s.listener, &n); err != nil {
			if err != unix.ENOENT && err != unix.EINTR { // it was killed meanwhile
				s.fail(err)
				return
			}
			continue
		}
		a := s.decide(&n)
		if err := send(s.listener, &a); err != nil && err != unix.ENOENT {
			s.fail(err)
			return
		}
	}
}

func (s *supervised) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// decide makes the answer to one call.
func (s *supervised) decide(n *notification) answer {
	goOn := answer{ID: n.ID, Flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.begun {
		s.begun = n.Nr == unix.SYS_EXECVE
		return goOn
	}
	who := s.role(n.TID)
	switch {
	case who.isTree && n.IP >= ownTextStart && n.IP < ownTextEnd:
		return goOn // the tree runs
	case who.own && s.text.runtime(n.IP) && !runtimeToo(n):
		return goOn
	}
	p := point{who: who.name, call: callName(n), nr: n.Nr}
	if who.own && s.text.runtime(n.IP) {
		p.call = "runtime " + p.call
	}
	s.seen[p]++
	p.k = s.seen[p.kind()]
	s.list = append(s.list, p)
	if s.fault == nil || s.hit || p != s.fault.point {
		return goOn
	}
	s.hit = true
	if s.fault.errno == killed {
		_ = unix.Kill(s.Cmd.Process.Pid, unix.SIGKILL)
		return goOn
	}
	return answer{ID: n.ID, Error: -int32(s.fault.errno)}
}

// runtimeToo are calls of the runtime that fail on a machine that is full.
func runtimeToo(n *notification) bool {
	return n.Nr == unix.SYS_MMAP || n.Nr == unix.SYS_CLONE || n.Nr == unix.SYS_CLONE3
}

// role tells who a thread is.
func (s *supervised) role(tid uint32) role {
	if r, ok := s.who[tid]; ok {
		return r
	}
	var r role
	if i := slices.Index(s.tree, int(tid)); i >= 0 {
		r = role{name: fmt.Sprintf("task %d", i), isTree: true}
	} else if s.Cmd.Process.Pid == group(tid) {
		r = role{name: s.program, own: true}
	} else {
		r = role{name: "child"}
	}
	s.who[tid] = r
	return r
}

// group is the process of a thread.
func group(tid uint32) int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", tid))
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(b, []byte("\nTgid:\t"))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	n, _ := strconv.Atoi(string(line))
	return n
}

// points are all calls so far, and whether the fault has come.
func (s *supervised) points(t testing.TB) ([]point, bool) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		t.Fatalf("%s: %v", s.program, s.err)
	}
	return slices.Clone(s.list), s.hit
}

// gone tells whether nothing that the program made is left, soon.
func (s *supervised) gone() bool {
	select {
	case <-s.over:
		return true
	case <-time.After(soon):
		return false
	}
}

// soon is how long what was killed may take to go.
const soon = 5 * time.Second
