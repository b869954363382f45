package stage

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"floe/lib/procfs"
	"floe/lib/record"
)

// pipeline runs a shell pipeline with "freeze" and "stage" replaced by this
// binary. It returns the exit statuses, what was said, and checks that the
// victim is free at the end.
func pipeline(t *testing.T, pid int, line string) (status, said string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	line = regexp.MustCompile(`^freeze\b`).ReplaceAllString(line, fmt.Sprintf("%s fakefreeze %d", exe, pid))
	line = regexp.MustCompile(`\bstage `).ReplaceAllString(line, exe+" fakestage ")
	var errs bytes.Buffer
	cmd := exec.Command("bash", "-c", line+`; echo "${PIPESTATUS[*]}"`)
	cmd.Stderr = &errs
	start := time.Now()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", line, err, errs.String())
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("%s: took %s", line, took)
	}
	free(t, pid)
	return strings.TrimSpace(string(out)), errs.String()
}

// free checks that a process, if it is still there, is not held.
func free(t *testing.T, pid int) {
	t.Helper()
	tids, err := procfs.Threads(pid)
	if err != nil {
		return
	}
	for _, tid := range tids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", tid))
		if err == nil && (!bytes.Contains(b, []byte("TracerPid:\t0\n")) || bytes.Contains(b, []byte("State:\tt"))) {
			t.Errorf("task %d is still held:\n%s", tid, b)
		}
	}
}

// complete checks that a file is a whole image with these stages.
func complete(t *testing.T, path, stages string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := record.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for {
		frame, err := r.Next()
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if e := frame.Record.GetEndStage(); e != nil {
			got = append(got, e.Stage)
		}
		if frame.Record.GetMark() != nil {
			t.Error("there is a mark in it")
		}
	}
	if s := strings.Join(got, " "); s != stages {
		t.Errorf("stages %q, want %q", s, stages)
	}
}

func TestPipelines(t *testing.T) {
	const (
		none = `outcome: complete=false disk=false failure=""`
		full = `outcome: complete=true disk=false failure=""`
		disk = `outcome: complete=true disk=true failure=""`
	)
	for _, test := range []struct {
		name, line, status string
		say                []string // regular expressions
	}{
		{"whole", `freeze | stage a needs=freeze | stage b needs=a | stage z last needs=freeze,a,b >$IMG`, "0 0 0 0", []string{full}},
		{"durable", `freeze durable | stage a | stage b | stage z last >$IMG`, "0 0 0 0", []string{disk}},
		{"to a pipe", `freeze durable | stage a | stage b | stage z last | cat >$IMG`, "0 0 0 0 0", []string{full}},
		{"cat and tee", `freeze | cat | stage a | tee $IMG.1 | cat | stage b | cat | stage z last | tee $IMG.2 >$IMG`, "0 0 0 0 0 0 0 0 0", []string{full}},
		{"slow reader", `freeze | stage a big | (sleep 1; cat) | stage b slow | stage z last | cat >$IMG`, "0 0 0 0 0 0", []string{full}},
		{"to a file", `freeze | stage a >$IMG.1`, "0 0", []string{none}},
		{"to /dev/null", `freeze | stage a >/dev/null`, "0 0", []string{none}},
		{"to cat", `freeze idle | stage a | cat >/dev/null`, "0 0 0", []string{"no stage has worked for 300ms"}},
		{"hangs", `freeze patient | stage a | stage b hang | stage z last >$IMG`, "0 0 1 3", []string{`failure="b \(task \d+\) hangs: it has got no further for 2s"`, "b: the lease is over: freeze is gone"}},
		{"steps", `freeze patient | stage a | stage b steps | stage z last >$IMG`, "0 0 0 0", []string{full}},
		{"records", `freeze patient | stage a | stage b records | stage z last >$IMG`, "0 0 0 0", []string{full}},
		{"reader goes", `freeze | stage a slow | sleep 0.1`, "0 1 0", []string{"a failed: the next stage is gone", "a: the next stage is gone: .*broken pipe\n"}},
		{"reader goes later", `freeze | stage a | head -c 100 >/dev/null`, "0 [01] 0", nil},
		{"nobody", `freeze | sleep 0.1`, "0 0", []string{none}},
		{"two ends", `freeze | stage a | tee >(stage b slow >$IMG.1) | stage z last >$IMG.2`, "0 0 0 0", []string{full}},
		{"fails", `freeze | stage a | stage b fail | stage z last >$IMG`, "0 0 1 3", []string{`failure="b failed: it did not work"`, "b: it did not work\n", "z: .*the stage before z has failed"}},
		{"dies", `freeze | stage a | stage b die | stage z last >$IMG`, "0 0 137 3", []string{`failure="b \(task \d+\) died"`, "z: .*the stage before z has failed"}},
		{"last dies", `freeze | stage a | stage z last die >$IMG`, "0 0 137", []string{`failure="z \(task \d+\) died"`}},
		{"behind cat dies", `freeze | cat | stage a | cat | stage z last die | cat >$IMG`, "0 0 0 0 137 0", []string{`failure="z \(task \d+\) died"`}},
		{"disk full", `freeze | stage a | stage z last big >/dev/full`, "0 0 1", []string{`failure="z failed: .*no space left`, "z: .*no space left on device\n"}},
		{"twice", `freeze | stage a | stage a | stage z last >$IMG`, "0 [01] 3 3", []string{`failure="a failed: a is in this pipeline twice"`, "a: a is in this pipeline twice\n"}},
		{"missing", `freeze | stage b needs=freeze,a | stage z last >$IMG`, "0 3 3", []string{"b: a must come before b in the pipeline\n"}},
		{"freeze dies", `freeze | stage a | stage b killfreeze | stage z last >$IMG`, "137 0 1 3", []string{"b: the lease is over: freeze is gone"}},
		{"not begun", `true | stage a | stage z last >$IMG`, "0 3 3", []string{"a: the input is empty: the stage before a has failed\n", "z: the input is empty"}},
		{"text", `echo hello, this is text | stage a >$IMG`, "0 3", []string{"a: not a floe stream"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			pid := startVictim(t, 3)
			img := filepath.Join(t.TempDir(), "img")
			if err := os.WriteFile(img, nil, 0o644); err != nil {
				t.Fatal(err)
			}
			status, said := pipeline(t, pid, strings.ReplaceAll(test.line, "$IMG", img))
			if !regexp.MustCompile("^" + test.status + "$").MatchString(status) {
				t.Errorf("exit statuses %s, want %s:\n%s", status, test.status, said)
			}
			for _, want := range test.say {
				if !regexp.MustCompile(want).MatchString(said) {
					t.Errorf("no %q in:\n%s", want, said)
				}
			}
			if strings.Contains(test.line, ">$IMG") && strings.Contains(said, "complete=true") && !strings.Contains(test.line, "$IMG.2") {
				complete(t, img, "freeze a b z")
			}
		})
	}
}

// An image is for its owner's eyes, and the user is told.
func TestProtect(t *testing.T) {
	pid := startVictim(t, 1)
	for mode, warns := range map[os.FileMode]bool{0o644: true, 0o640: true, 0o602: true, 0o600: false, 0o400: false} {
		img := filepath.Join(t.TempDir(), "img")
		if err := os.WriteFile(img, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(img, mode); err != nil {
			t.Fatal(err)
		}
		_, said := pipeline(t, pid, "freeze | stage z last >"+img)
		st, err := os.Stat(img)
		if err != nil {
			t.Fatal(err)
		}
		if st.Mode().Perm()&0o077 != 0 || strings.Contains(said, "0600") != warns {
			t.Errorf("mode %o has become %o; said %q", mode, st.Mode(), said)
		}
	}
}

// The tree must be the stream's, and frozen, before and after.
func TestVictimKilled(t *testing.T) {
	pid := startVictim(t, 3)
	status, said := pipeline(t, pid, "freeze | stage a killvictim | stage z last >/dev/null")
	if status != "0 1 3" || !regexp.MustCompile(`a: task \d+ is (gone|not frozen any more)`).MatchString(said) {
		t.Errorf("%s: %s", status, said)
	}
}
