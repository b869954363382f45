package lease

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"floe/tests/harness"
)

// TestCommandEnvironment: what freeze runs gets the environment that freeze got,
// to the last variable.
func TestCommandEnvironment(t *testing.T) {
	victim := harness.Start(t, nil, nil, "sleep", "1000")
	defer victim.Kill()
	image, got := filepath.Join(t.TempDir(), "img"), filepath.Join(t.TempDir(), "got")
	stages := fmt.Sprintf("env -0 | sort -z >%s; vmadump | vdsoprobe | fddump | pagedump >%s", got, image)
	for _, extra := range []string{"", "GOMAXPROCS=2", "GOMAXPROCS="} {
		want := filepath.Join(t.TempDir(), "want")
		harness.Bash(t, fmt.Sprintf(`same() { env -i PATH="$PATH" A=1 B= %s C='x y' "$@"; }
			same sh -c 'env -0 | sort -z >%s'
			same freeze --then thaw %d -- sh -c '%s'`, extra, want, victim.Cmd.Process.Pid, stages))
		w, err := os.ReadFile(want)
		if err != nil {
			t.Fatal(err)
		}
		if g, err := os.ReadFile(got); err != nil || string(g) != string(w) {
			t.Errorf("%q: %v\n%q, want\n%q", extra, err, g, w)
		}
	}
}

// TestCommandThaw: a tree that is thawed in any case does not wait for what the
// command does once the image is complete, and freeze ends with its status.
func TestCommandThaw(t *testing.T) {
	v := harness.Launch(t, light, nil)
	image := filepath.Join(t.TempDir(), "img")
	const stages = "vmadump | vdsoprobe | fddump | pagedump -o %s; sleep 5; exit 7"
	p := harness.Start(t, nil, nil, "freeze", fmt.Sprint(v.PID), "--", "sh", "-c", fmt.Sprintf(stages, image))
	frozen(t, v.PID)
	if took := goesOn(t, v.PID); took > 3*time.Second {
		t.Errorf("the tree waits for %s", took)
	}
	if e := p.Wait(t); e.Code() != 7 || !strings.Contains(p.Stderr.String(), fmt.Sprintf("sh: exit status 7; task %d runs on", v.PID)) {
		t.Errorf("%s: %s", e, p.Stderr)
	}
	harness.Bash(t, "imgcat --verify -q "+image)
}

// TestCommandSignals: what freeze ignores for the sake of the tree, the command
// does not.
func TestCommandSignals(t *testing.T) {
	v := harness.Launch(t, light, nil)
	got := filepath.Join(t.TempDir(), "got")
	p := harness.Start(t, nil, nil, "freeze", fmt.Sprint(v.PID), "--", "sh", "-c", "grep SigIgn /proc/self/status >"+got)
	p.Wait(t)
	want := regexp.MustCompile(`(?m)^SigIgn:.*$`)
	own, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(got); err != nil || strings.TrimSpace(string(b)) != want.FindString(string(own)) {
		t.Errorf("%s, want %s, %v", b, want.FindString(string(own)), err)
	}
}
