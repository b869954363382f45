package harness

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Stages of the pipeline after freeze.
const Stages = "vmadump | vdsoprobe | fddump | pagedump"

// NoResource runs a command without CAP_SYS_RESOURCE, as containers do.
const NoResource = "setpriv --bounding-set=-sys_resource --inh-caps=-sys_resource -- "

// Checkpoint writes a victim's image to a file, kills it, and makes sure that
// it is dead. prefix stands before every program.
func (r *Running) Checkpoint(t testing.TB, image, prefix string) {
	t.Helper()
	tree := Tree(r.PID)
	Bash(t, fmt.Sprintf("%sfreeze --then kill %d | %s >%s", prefix, r.PID, prefixed(prefix), image))
	r.gone(t, tree)
}

func prefixed(prefix string) string {
	return prefix + strings.ReplaceAll(Stages, "| ", "| "+prefix)
}

// gone makes sure that a tree has been killed.
func (r *Running) gone(t testing.TB, tree []int) {
	t.Helper()
	WaitGone(t, tree)
	if left := r.session(); len(left) > 0 {
		t.Fatalf("%s: the checkpoint has left processes %v", r.Name, left)
	}
}

// Restore brings it back from a file.
func (r *Running) Restore(t testing.TB, image, prefix string) {
	t.Helper()
	r.ended = watch(r.PID)
	Bash(t, fmt.Sprintf("%srestore -d --pidfile %s %s", prefix, r.pidfile(), image))
	r.back(t)
}

// BeginRestore starts a restore that the test then disturbs.
func (r *Running) BeginRestore(t testing.TB, image string) *Proc {
	t.Helper()
	r.ended = watch(r.PID)
	return Start(t, nil, nil, "restore", "-d", image)
}

func (r *Running) pidfile() string { return filepath.Join(r.Dir, "pid") }

// back makes sure that it runs.
func (r *Running) back(t testing.TB) {
	t.Helper()
	b, err := os.ReadFile(r.pidfile())
	if err != nil || strings.TrimSpace(string(b)) != itoa(r.PID) {
		t.Fatalf("%s: pid file: %q, %v; want %d", r.Name, b, err, r.PID)
	}
	if left := Trapped(r.PID); len(left) > 0 {
		t.Fatalf("%s: restored, but:\n%s", r.Name, strings.Join(left, "\n"))
	}
}

// ThroughPipe checkpoints, kills and restores without any file: freeze runs the
// stages and kills on their success, then a restore at the other end of a pipe
// gets what this process has buffered in between.
func (r *Running) ThroughPipe(t testing.TB) {
	t.Helper()
	tree := Tree(r.PID)
	var image bytes.Buffer
	p := Start(t, nil, &image, "freeze", "--then", "kill", itoa(r.PID), "--", "bash", "-c", "set -o pipefail; "+Stages)
	if e := p.Wait(t); e.Code() != 0 {
		t.Fatalf("%s: freeze: %s: %s", r.Name, e, p.Stderr)
	}
	r.gone(t, tree)
	r.ended = watch(r.PID)
	p = Start(t, onlyReader{&image}, nil, "restore", "-d", "--pidfile", r.pidfile())
	if e := p.Wait(t); e.Code() != 0 {
		t.Fatalf("%s: restore: %s: %s", r.Name, e, p.Stderr)
	}
	r.back(t)
}

// onlyReader makes os/exec use a pipe.
type onlyReader struct{ io.Reader }
