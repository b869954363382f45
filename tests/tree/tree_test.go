// Package tree checkpoints families of processes of every shape that a kernel
// allows, kills them, restores them, and compares what /proc tells of them.
package tree

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"floe/tests/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// TestShapes needs every process where it was.
func TestShapes(t *testing.T) {
	for _, shape := range []string{"daemons", "nested", "before", "groups", "siblings", "left", "zombies", "orphan-session"} {
		t.Run(shape, func(t *testing.T) {
			r := begin(t, shape)
			again(t, r, 0, "")
			again(t, r, 0, "")
		})
	}
}

// TestOuterSession needs a group without a leader as it was, in a session that
// leads out of the tree and becomes restore's.
func TestOuterSession(t *testing.T) {
	r := begin(t, "orphan-group")
	outer, err := unix.Getsid(r.PID)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(outer, syscall.SIGKILL) })
	image := filepath.Join(r.Dir, "image")
	before := picture(t, r.PID, outer)
	r.Checkpoint(t, image, "")
	r.Restore(t, image, "")
	now, err := unix.Getsid(r.PID)
	if err != nil || now == outer {
		t.Fatalf("session %d, %v", now, err)
	}
	if after := picture(t, r.PID, now); after != before {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
}

// TestIgnoredSignals restores zombies under a restore that ignores signals and
// may dump core.
func TestIgnoredSignals(t *testing.T) {
	r := begin(t, "zombies")
	again(t, r, 0, "cd "+r.Dir+"; ulimit -c unlimited; trap '' HUP INT PIPE TRAP SEGV USR1 TERM; ")
	if cores, _ := filepath.Glob(filepath.Join(r.Dir, "core*")); len(cores) > 0 {
		t.Errorf("restore has left %v", cores)
	}
}

var wild = flag.Int("wild", 20, "how many random families TestWild makes")

// TestWild makes random families.
func TestWild(t *testing.T) {
	for i := range *wild {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			r := begin(t, "wild")
			// A few share what no order of forks gives them: see the README's limits.
			p := harness.Start(t, nil, nil, "bash", "-c", fmt.Sprintf("set -o pipefail; freeze %d | %s >/dev/null", r.PID, harness.Stages))
			if e := p.Wait(t); e.Code() != 0 && strings.Contains(p.Stderr.String(), "no order of forks gives that") {
				t.Log(p.Stderr.String())
				return
			}
			again(t, r, 0, "")
		})
	}
}

// again checkpoints and restores a family, under a shell's prelude.
func again(t *testing.T, r *harness.Running, outer int, prelude string) {
	t.Helper()
	image := filepath.Join(r.Dir, "image")
	before := picture(t, r.PID, outer)
	r.Checkpoint(t, image, "")
	harness.Bash(t, prelude+"restore -d --pidfile "+filepath.Join(r.Dir, "pid")+" "+image)
	if after := picture(t, r.PID, outer); after != before {
		t.Errorf("before\n%s\nafter\n%s\ndifference\n%s", before, after,
			strings.Join(harness.Difference(strings.Split(before, "\n"), strings.Split(after, "\n")), "\n"))
	}
	if left := harness.Trapped(r.PID); len(left) > 0 {
		t.Errorf("%s", left)
	}
	os.Remove(image)
}
