package tree

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"floe/tests/harness"
)

// TestIDInUse names who still has an id as its session or group, before anything
// of the tree is made.
func TestIDInUse(t *testing.T) {
	for _, shape := range []string{"escape-session", "escape-group"} {
		t.Run(shape, func(t *testing.T) {
			r := begin(t, shape)
			image := filepath.Join(r.Dir, "image")
			tree := harness.Tree(r.PID)
			// freeze would not kill it.
			harness.Bash(t, fmt.Sprintf("freeze %d | %s >%s", r.PID, harness.Stages, image))
			for _, pid := range tree {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
			harness.WaitGone(t, tree)
			away := r.Left()
			if len(away) != 1 {
				t.Fatalf("processes %v are left", away)
			}
			p := harness.Start(t, nil, nil, "restore", "-d", image)
			e := p.Wait(t)
			if want := fmt.Sprintf("it is the session of process %d (family)", away[0]); e.Code() != 1 || !strings.Contains(p.Stderr.String(), want) {
				t.Errorf("%s: %s; want %q", e, p.Stderr, want)
			}
			if strings.Contains(p.Stderr.String(), "file exists") {
				t.Error("something was made")
			}
			_ = syscall.Kill(away[0], syscall.SIGKILL)
			harness.WaitGone(t, away)
			harness.Bash(t, "restore -d "+image)
			time.Sleep(10 * time.Millisecond)
			if !harness.Exists(r.PID) {
				t.Error("it has not come back")
			}
		})
	}
}
