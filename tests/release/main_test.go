// Package release looks at how restore lets a tree go: whole or not at all,
// whatever the tasks may have, and whoever interrupts it.
package release

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"floe/tests/harness"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "guardian" {
		guard(os.Args[2:])
	}
	harness.Main(m)
}

// guard runs a command as a subreaper that waits for nobody else, and lists on
// standard output the ids of the children that it has got from it.
func guard(args []string) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		panic(err)
	}
	path, err := exec.LookPath(args[0])
	if err != nil {
		panic(err)
	}
	pid, err := syscall.ForkExec(path, args, &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, 1, 2}})
	if err != nil {
		panic(err)
	}
	if err := os.WriteFile(os.Getenv("GUARDIAN"), fmt.Append(nil, pid), 0o600); err != nil {
		panic(err)
	}
	var ws syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &ws, 0, nil); err != nil {
		panic(err)
	}
	for _, child := range harness.Tree(os.Getpid())[1:] {
		s, _ := harness.ReadStat(child)
		fmt.Printf("%d (%s) %s\n", child, s.Comm, s.State)
	}
	if ws.Signaled() {
		os.Exit(128 + int(ws.Signal()))
	}
	os.Exit(ws.ExitStatus())
}

// guarded is a command under a guardian.
type guarded struct {
	*harness.Proc
	out *strings.Builder
	pid int // of the command
}

// startGuarded starts a command that leaves nothing behind: see left.
func startGuarded(t *testing.T, stdin *os.File, args ...string) *guarded {
	t.Helper()
	file := filepath.Join(t.TempDir(), "pid")
	t.Setenv("GUARDIAN", file)
	g := &guarded{out: &strings.Builder{}}
	if stdin != nil {
		g.Proc = harness.Start(t, stdin, g.out, "/proc/self/exe", append([]string{"guardian"}, args...)...)
	} else {
		g.Proc = harness.Start(t, nil, g.out, "/proc/self/exe", append([]string{"guardian"}, args...)...)
	}
	for until := time.Now().Add(harness.Limit); g.pid == 0; time.Sleep(100 * time.Microsecond) {
		if b, err := os.ReadFile(file); err == nil {
			_, _ = fmt.Sscan(string(b), &g.pid)
		}
		if time.Now().After(until) {
			t.Fatal("the guardian does not begin")
		}
	}
	return g
}
