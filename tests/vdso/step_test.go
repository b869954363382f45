package vdso

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"floe/tests/harness"
)

// TestEveryInstruction checkpoints a process that stands at each of the first
// instructions of each function of its vDSO, and at all of getrandom's, on this
// kernel's own vDSO and on a proxy. A restore through a proxy and one in place
// take turns, so that the next has the other.
func TestEveryInstruction(t *testing.T) {
	stepper := build(t, "go", "build", "-o", "stepper", "floe/tests/vdso/stepper")
	for _, name := range []string{"clock_gettime", "gettimeofday", "time", "getcpu", "clock_getres", "getrandom"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			every(t, stepper, name)
		})
	}
}

// settled is a process's state once it does not run: a stop takes a moment after
// it has been let go, in which it runs no instruction.
func settled(pid int) (s harness.Stat) {
	for until := time.Now().Add(5 * time.Second); time.Now().Before(until); time.Sleep(time.Millisecond) {
		if s, _ = harness.ReadStat(pid); s.State != "R" {
			break
		}
	}
	return s
}

// firstBytes of a function are those that a jump may replace.
const firstBytes = 16

func every(t *testing.T, stepper, name string) {
	bin := build(t, "gcc", "-static", "-O1", "-o", "step", "testdata/step.c")
	v := harness.Launch(t, &harness.Victim{Name: "step", Args: []string{bin, name}}, nil)
	image := filepath.Join(v.Dir, "image")
	var entry uint64
	if _, err := fmt.Sscanf(output(t, v), "entry 0x%x", &entry); err != nil {
		t.Fatal(err)
	}
	var places [2]int // on this kernel's own, on a proxy
	for done := [2]bool{}; !done[0] || !done[1]; {
		for i, mode := range []string{"proxy", "inplace"} {
			at := ""
			if !done[i] {
				at = stepTo(t, stepper, v.PID, entry, filepath.Join(v.Dir, mode))
			}
			if at == "" { // only to have the other vDSO next
				cont(t, v)
				done[i] = true
			} else {
				places[i]++
			}
			v.Checkpoint(t, image, "")
			harness.Bash(t, "restore -d --vdso "+mode+" "+image)
			if at != "" {
				if s := settled(v.PID); s.State != "T" {
					t.Fatalf("at %s: it was stopped and is not: %+v", at, s)
				}
				cont(t, v)
			}
			alive(t, v, fmt.Sprintf("%s at %s, then %s", name, at, mode))
			done[i] = done[i] || name != "getrandom" && places[i] > firstBytes
		}
	}
	t.Logf("%d instructions of this kernel's own, %d on the way through a proxy", places[0], places[1])
	if places[0] < 4 || places[1] < 4 {
		t.Error("these are too few")
	}
}

// stepTo has a process stopped at the first instruction behind an address that
// is not in a file yet.
func stepTo(t *testing.T, stepper string, pid int, entry uint64, seen string) string {
	t.Helper()
	var out bytes.Buffer
	p := harness.Start(t, nil, &out, stepper, fmt.Sprint(pid), fmt.Sprint(entry), seen)
	if e := p.Wait(t); e.Code() != 0 {
		t.Fatalf("%s: %s", e, p.Stderr)
	}
	return strings.TrimSpace(out.String())
}

func cont(t *testing.T, v *harness.Running) {
	t.Helper()
	if err := syscall.Kill(v.PID, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
}

// alive waits until a victim says that it is well, twice.
func alive(t *testing.T, v *harness.Running, what string) {
	t.Helper()
	at := mark(t, v)
	for until := time.Now().Add(harness.Limit); ; time.Sleep(time.Millisecond) {
		out := output(t, v)
		if strings.Contains(out, "WRONG") {
			t.Fatalf("%s: %s", what, out[strings.Index(out, "WRONG"):])
		}
		if strings.Count(out[at:], "ok") >= 1 {
			return
		}
		if s, ok := harness.ReadStat(v.PID); !ok || s.State == "Z" || time.Now().After(until) {
			t.Fatalf("%s: it is silent: %+v %v", what, s, ok)
		}
	}
}

func output(t *testing.T, v *harness.Running) string {
	t.Helper()
	b, err := os.ReadFile(v.Output())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// build runs a compiler; the name after -o is that of a file in a folder of the
// test's own.
func build(t *testing.T, command string, args ...string) string {
	t.Helper()
	var out string
	for i := range args {
		if i > 0 && args[i-1] == "-o" {
			dir, err := os.MkdirTemp(harness.Scratch, "build-")
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			out = filepath.Join(dir, args[i])
			args[i] = out
		}
	}
	var text bytes.Buffer
	p := harness.Start(t, nil, &text, command, args...)
	if e := p.Wait(t); e.Code() != 0 {
		t.Fatalf("%v: %s: %s%s", exec.Command(command, args...), e, &text, p.Stderr)
	}
	return out
}
