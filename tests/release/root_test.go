package release

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"floe/tests/harness"
)

// scripted is a victim in Python that does something and sleeps.
func scripted(what string) *harness.Victim {
	return &harness.Victim{Name: "scripted", Args: []string{"/usr/bin/python3", "-c", `
import ctypes, os, signal, time
libc = ctypes.CDLL(None)
` + what + `
print("begin", flush=True)
while True:
    time.sleep(0.05)
`}}
}

var ignoredSignals = regexp.MustCompile(`(?m)^SigIgn:.*$`)

// TestIgnoredTrap: restore's own traps do nothing to a SIGTRAP that is ignored.
func TestIgnoredTrap(t *testing.T) {
	v := harness.Launch(t, scripted("signal.signal(signal.SIGTRAP, signal.SIG_IGN); os.fork()"), nil)
	image := filepath.Join(v.Dir, "image")
	ignored := func() string {
		var out strings.Builder
		for _, pid := range harness.Tree(v.PID) {
			b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(&out, pid, ignoredSignals.FindString(string(b)))
		}
		return out.String()
	}
	before := ignored()
	if strings.Count(before, "\n") != 2 || strings.Count(before, "1010\n") != 2 {
		t.Fatalf("the victim is not as it should be:\n%s", before)
	}
	for range 5 {
		v.Checkpoint(t, image, "")
		v.Restore(t, image, "")
		if got := ignored(); got != before {
			t.Fatalf("restored:\n%sbefore:\n%s", got, before)
		}
	}
}

// TestParentDeath: a root that wants to hear of its parent's death does not hear
// of that of the thread that made it, nor, with -d, of restore's end; in front of
// it restore is its parent.
func TestParentDeath(t *testing.T) {
	v := harness.Launch(t, scripted("libc.prctl(1, signal.SIGHUP)"), nil)
	image := filepath.Join(v.Dir, "image")
	v.Checkpoint(t, image, "")
	v.Restore(t, image, "")
	time.Sleep(300 * time.Millisecond)
	if s, ok := harness.ReadStat(v.PID); !ok || s.State == "Z" {
		t.Fatalf("with -d: the root: %+v", s)
	}
	v.Checkpoint(t, image, "")
	g := startGuarded(t, nil, "restore", image)
	until := time.Now().Add(harness.Limit)
	for !harness.Exists(v.PID) || len(harness.Trapped(v.PID)) > 0 {
		if time.Now().After(until) {
			t.Fatal("it is not restored")
		}
		time.Sleep(time.Millisecond)
	}
	time.Sleep(300 * time.Millisecond)
	if s, ok := harness.ReadStat(v.PID); !ok || s.Parent != g.pid {
		t.Errorf("the root: %+v", s)
	}
	g.kill(t, unix.SIGKILL)
	harness.WaitGone(t, []int{v.PID}) // by its SIGHUP
	g.Wait(t)
}
