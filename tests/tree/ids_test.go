package tree

import (
	"fmt"
	"os"
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

// TestNoNumber: a session and a group that began outside of the pid namespace
// have no number in it. What was in them goes to those of restore.
func TestNoNumber(t *testing.T) {
	for jobControl, want := range map[string]string{"+m": "0-0", "-m": "PID-0"} {
		t.Run(jobControl, func(t *testing.T) {
			dir := t.TempDir()
			harness.Bash(t, fmt.Sprintf(`cd %s; unshare -pf --mount-proc --kill-child bash -c '
				set %s
				sh -c "sleep 1000 & sleep 1000; :" </dev/null >/dev/null 2>&1 &
				pid=$!
				until [ "$(pgrep -cP $pid)" = 2 ]; do sleep 0.01; done
				show() { ps -o pgid=,sid= -p $pid,$(pgrep -d, -P $pid) | sed "s/\b$pid\b/PID/" >>got; }
				show
				freeze --then kill $pid | vmadump | vdsoprobe | fddump | pagedump -o image &&
				{ wait $pid; restore -d image; } &&
				show'`, dir, jobControl))
			got, err := os.ReadFile(filepath.Join(dir, "got"))
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSpace(string(got)), "\n")
			for _, l := range lines {
				if strings.Join(strings.Fields(l), "-") != want {
					t.Errorf("%q, want %s", l, want)
				}
			}
			if len(lines) != 6 {
				t.Errorf("%q: three processes before and after are six lines", lines)
			}
		})
	}
}

// TestStoppedJob: the end of restore leaves a group of its session without a
// parent. One that has a stopped process would be sent SIGHUP, if it was stopped
// before, or restore in it.
func TestStoppedJob(t *testing.T) {
	for name, jobControl := range map[string]string{"restore's group": "+m", "its own group": "-m"} {
		t.Run(name, func(t *testing.T) {
			// A shell of its own adopts orphans: one in the session would be a parent.
			harness.Bash(t, fmt.Sprintf(`cd %s; cat >job <<'E'
				set %s
				sh -c "sleep 1000 & sleep 1000; :" </dev/null >/dev/null 2>&1 &
				pid=$!
				until [ "$(pgrep -cP $pid)" = 2 ]; do sleep 0.01; done
				kill -STOP $(pgrep -P $pid) $pid
				freeze --then kill $pid | vmadump | vdsoprobe | fddump | pagedump -o image && wait $pid
				set -m
				restore -d image
				sleep 0.1
				states=$(ps -o state= -p $pid,$(pgrep -d, -P $pid) | tr -d "\n")
				echo "states: $states" >&2
				[ "$states" = TTT ]
E
				unshare -pf --mount-proc --kill-child sh -c 'setsid bash job & wait $!'`, t.TempDir(), jobControl))
		})
	}
}
