package harness

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// Limit is how long any one command of a test may take. It is there against
// hanging for ever, not to measure anything.
const Limit = 90 * time.Second

// Proc is a command that the test has started.
type Proc struct {
	Cmd    *exec.Cmd
	Stderr *bytes.Buffer // complete after Wait
	ended  <-chan End
	end    *End
}

// Start starts a command. A nil stdin is /dev/null.
func Start(t testing.TB, stdin io.Reader, stdout io.Writer, name string, args ...string) *Proc {
	t.Helper()
	p := &Proc{Cmd: exec.Command(name, args...), Stderr: &bytes.Buffer{}}
	p.Cmd.Stdin, p.Cmd.Stdout, p.Cmd.Stderr = stdin, stdout, p.Stderr
	p.Cmd.WaitDelay = Limit
	ended, err := spawn(p.Cmd)
	if err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	p.ended = ended
	return p
}

// Wait waits for the command's end and for all that it wrote.
func (p *Proc) Wait(t testing.TB) End {
	t.Helper()
	e, where := p.WaitFor(Limit)
	if where != "" {
		t.Fatalf("%v has not ended in %s: killed\n%s", p.Cmd.Args, Limit, where)
	}
	return e
}

// WaitFor is Wait for some time: then the command is killed, and where tells
// where its threads were.
func (p *Proc) WaitFor(limit time.Duration) (_ End, where string) {
	if p.end != nil {
		return *p.end, ""
	}
	select {
	case e := <-p.ended:
		p.end = &e
	case <-time.After(limit):
		where = stacks(p.Cmd.Process.Pid)
		_ = p.Cmd.Process.Kill()
		e := <-p.ended
		p.end = &e
	}
	_ = p.Cmd.Wait() // the reaper has its status; this ends the copying
	return *p.end, where
}

// Code is the exit status, or 128+n for signal n.
func (e End) Code() int {
	if e.Status.Signaled() {
		return 128 + int(e.Status.Signal())
	}
	return e.Status.ExitStatus()
}

func (e End) String() string {
	if e.Status.Signaled() {
		return fmt.Sprintf("ended by %s", e.Status.Signal())
	}
	return fmt.Sprintf("exit status %d", e.Status.ExitStatus())
}

// Bash runs a script with pipefail, and fails the test unless it succeeds.
func Bash(t testing.TB, script string) {
	t.Helper()
	p := Start(t, nil, nil, "bash", "-c", "set -o pipefail\n"+script)
	if e := p.Wait(t); e.Code() != 0 {
		t.Fatalf("%s\n%s: %s", script, e, p.Stderr)
	}
}

// Kill kills the command with SIGKILL, unless it has ended.
func (p *Proc) Kill() { _ = p.Cmd.Process.Signal(syscall.SIGKILL) }

// stacks is where a process's threads are in the kernel, for a report.
func stacks(pid int) string {
	var b bytes.Buffer
	for _, tid := range Threads(pid) {
		w, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/wchan", pid, tid))
		fmt.Fprintf(&b, "%d %s\n", tid, w)
	}
	return b.String()
}
