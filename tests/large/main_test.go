// Package large saves and restores processes and trees that have very much of
// one thing, and measures how much memory each program takes for that.
package large

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"floe/tests/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// victim is a process in a session of its own.
type victim struct {
	pid int
	dir string
}

// launch starts testdata/large.c with arguments, and waits until it is ready.
func launch(t *testing.T, args ...string) *victim {
	t.Helper()
	program := filepath.Join(harness.Scratch, "large")
	if _, err := os.Stat(program); err != nil {
		harness.Bash(t, "gcc -O2 -Wall -Werror -pthread -o "+program+" testdata/large.c")
	}
	v := &victim{dir: t.TempDir()}
	out, err := os.Create(filepath.Join(v.dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	// No pipe: the restored one would keep it open.
	p := harness.Start(t, nil, out, "setsid", append([]string{"sh", "-c", `exec "$0" "$@" 2>&1`, program}, args...)...)
	v.pid = p.Cmd.Process.Pid
	t.Cleanup(v.end)
	for range 6000 {
		if b, _ := os.ReadFile(out.Name()); strings.Contains(string(b), "ready") {
			return v
		}
		if !harness.Exists(v.pid) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	said, _ := os.ReadFile(out.Name())
	t.Fatalf("large %v is not ready: %s", args, said)
	return nil
}

// end ends the victim's process group: all of its tree.
func (v *victim) end() { _ = unix.Kill(-v.pid, unix.SIGKILL) }

func (v *victim) image() string { return filepath.Join(v.dir, "image") }

// stages are the programs of a checkpoint, in order.
var stages = []string{"freeze", "vmadump", "vdsoprobe", "fddump", "pagedump"}

// measured is a command that writes its peak memory to a file of its name.
func (v *victim) measured(t *testing.T, program, args string) string {
	t.Helper()
	return fmt.Sprintf("%s %s/peak-%s %s %s", harness.Measure(t), v.dir, program, program, args)
}

// save saves the victim and kills it.
func (v *victim) save(t *testing.T) {
	t.Helper()
	tree := harness.Tree(v.pid)
	var pipeline []string
	for _, s := range stages {
		args := ""
		if s == "freeze" {
			args = fmt.Sprintf("--then kill %d", v.pid)
		}
		pipeline = append(pipeline, v.measured(t, s, args))
	}
	harness.Bash(t, "umask 077; "+strings.Join(pipeline, " | ")+" > "+v.image())
	harness.WaitGone(t, tree)
}

// restore brings it back.
func (v *victim) restore(t *testing.T) {
	t.Helper()
	harness.Bash(t, v.measured(t, "restore", "-d "+v.image()))
}

// peaks are the KiB that the programs had resident at most.
func (v *victim) peaks(t *testing.T) map[string]int {
	t.Helper()
	all := map[string]int{}
	files, err := filepath.Glob(v.dir + "/peak-*")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		if _, err := fmt.Sscan(string(b), &n); err != nil {
			t.Fatal(err)
		}
		all[strings.TrimPrefix(filepath.Base(f), "peak-")] = n
	}
	return all
}

// output is what a command writes, which must end with a status.
func output(t *testing.T, status int, name string, args ...string) (stdout, stderr string) {
	t.Helper()
	var out bytes.Buffer
	p := harness.Start(t, nil, &out, name, args...)
	if e := p.Wait(t); e.Code() != status {
		t.Fatalf("%s %v: %s: %s", name, args, e, p.Stderr)
	}
	return out.String(), p.Stderr.String()
}
