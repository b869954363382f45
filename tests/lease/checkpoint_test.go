package lease

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"floe/tests/harness"
)

// TestCheckpoint: all stages in one process make an image that brings the tree
// back, compressed or not, to a file of its own and to standard output.
func TestCheckpoint(t *testing.T) {
	for _, how := range []string{"-o %s", "-z -o %s", ">%s", "| cat >%s", "--then kill -o %s", "--then kill -z >%s", "--then stop -o %s"} {
		t.Run(how, func(t *testing.T) {
			v := harness.Launch(t, light, nil)
			image := filepath.Join(t.TempDir(), "img")
			harness.Bash(t, fmt.Sprintf("umask 077; checkpoint %d "+how, v.PID, image))
			killed := strings.Contains(how, "kill")
			switch b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", v.PID)); {
			case killed:
				harness.WaitGone(t, []int{v.PID})
			case strings.Contains(string(b), ") T ") != strings.Contains(how, "stop"):
				t.Errorf("it is %s", b)
			}
			if !killed {
				_ = syscall.Kill(v.PID, syscall.SIGCONT)
				goesOn(t, v.PID)
				_ = syscall.Kill(v.PID, syscall.SIGKILL)
				harness.WaitGone(t, []int{v.PID})
			}
			harness.Bash(t, fmt.Sprintf("imgcat --verify -q %s && restore -d %[1]s", image))
			if !harness.Exists(v.PID) {
				t.Error("it has not come back")
			}
			_ = syscall.Kill(v.PID, syscall.SIGKILL)
		})
	}
}

// TestCheckpointFails: whatever goes wrong is said in one line, and the tree
// runs on.
func TestCheckpointFails(t *testing.T) {
	v := harness.Launch(t, heavy, nil)
	dir := t.TempDir()
	for how, want := range map[string]string{
		">/dev/full":                       "pagedump failed: write to /dev/stdout: no space left on device",
		"-o sub/":                          "sub/: it is the name of a directory",
		"-o nowhere/img":                   "open nowhere: no such file or directory",
		"--then kill | cat >/dev/null":     "the image is complete but went to a pipe",
		"--timeout 300ms | sleep 5":        "nobody has read",
		"--timeout 300ms -o img | sleep 5": "",
		"| true":                           "pagedump failed: ",
	} {
		e, said := script(t, dir, fmt.Sprintf("set -o pipefail; timeout 20 checkpoint %d %s", v.PID, how))
		if want == "" {
			if e.Code() != 0 || said != "" {
				t.Errorf("%s: %s: %s", how, e, said)
			}
			continue
		}
		if e.Code() != 1 || !strings.Contains(said, want) || strings.Count(said, "\n") != 1 || !strings.HasPrefix(said, "checkpoint: ") {
			t.Errorf("%s: %s: %q, want %q", how, e, said, want)
		}
		if took := goesOn(t, v.PID); took > time.Second {
			t.Errorf("%s: the tree waits for %s", how, took)
		}
	}
	if left := partials(t, dir); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
	if e, said := script(t, dir, "sleep 1000 & kill -9 $!; checkpoint $! -o img2"); e.Code() != 1 || strings.Count(said, "\n") != 1 {
		t.Errorf("a dead process: %s: %s", e, said)
	}
}

// TestCheckpointSignals: a signal ends it at any moment, the tree runs on, and
// nothing is left of a file that has not become the image.
func TestCheckpointSignals(t *testing.T) {
	v := harness.Launch(t, heavy, nil)
	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGKILL} {
		for ms := range 30 {
			dir := t.TempDir()
			p := harness.Start(t, nil, nil, "checkpoint", "-o", filepath.Join(dir, "img"), fmt.Sprint(v.PID))
			time.Sleep(time.Duration(ms) * time.Millisecond)
			_ = p.Cmd.Process.Signal(sig)
			e := p.Wait(t)
			goesOn(t, v.PID)
			_, err := os.Stat(filepath.Join(dir, "img"))
			if left := partials(t, dir); sig != unix.SIGKILL && (len(left) > 0 || err != nil && e.Code() == 0) {
				t.Errorf("%s after %d ms: %s, %v, left %v: %s", unix.SignalName(sig), ms, e, err, left, p.Stderr)
			}
			if err == nil {
				harness.Bash(t, "imgcat --verify -q "+filepath.Join(dir, "img"))
			}
		}
	}
	if !harness.Exists(v.PID) {
		t.Error("the tree is gone")
	}
}
