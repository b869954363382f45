package main

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Whoever reads the output may have seen enough.
func TestBrokenPipe(t *testing.T) {
	name := tempFile(t, realOne(t).bytes)
	for _, how := range []string{"", "--json", "--verify"} {
		out, stderr, status := bash(t, "set -o pipefail; imgcat "+how+" "+name+" | true")
		if out != "" || stderr != "" || status > 1 {
			t.Errorf("%s: %q, %q, status %d", how, out, stderr, status)
		}
		_, stderr, status = bash(t, "imgcat "+how+" "+name+" > /dev/full")
		if !strings.Contains(stderr, "no space left") || strings.Count(stderr, "\n") != 1 || status != 1 {
			t.Errorf("%s: on a full disk: %q, status %d", how, stderr, status)
		}
	}
}

// Behind a stage it prints what is there, says what is missing, and the tree
// runs on.
func TestBehindStages(t *testing.T) {
	pid := victim(t)
	p := strconv.Itoa(pid)
	for script, missing := range map[string]string{
		"freeze " + p: "vmadump, vdsoprobe, fddump, pagedump", "freeze " + p + " | vmadump": "vdsoprobe, fddump, pagedump",
		"freeze " + p + " | vmadump | vdsoprobe": "fddump, pagedump", "freeze " + p + " | fddump": "vmadump, vdsoprobe, pagedump",
		"freeze " + p + " | vmadump | vdsoprobe | fddump": "pagedump",
	} {
		out, stderr, status := bash(t, script+" | imgcat")
		want := "imgcat: standard input: the stream is not finished: missing " + missing + "; run them after the stages that were there\n"
		if status != 3 || stderr != want || !strings.Contains(out, "  running  └─ cat\n") {
			t.Errorf("%s: status %d, %q, want %q\n%s", script, status, stderr, want, out)
		}
		running(t, pid)
	}
	if out, stderr, status := bash(t, "freeze "+p+" | vmadump | vdsoprobe | fddump | pagedump | imgcat --verify"); status != 0 || !strings.Contains(out, ": good: 3 tasks") {
		t.Errorf("status %d, %q, %q", status, out, stderr)
	}
	running(t, pid)
}

// running makes sure that a process goes on, and is nobody's.
func running(t *testing.T, pid int) {
	t.Helper()
	var b []byte
	for range 1000 {
		var err error
		if b, err = os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status"); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), "\nTracerPid:\t0\n") && strings.Contains(string(b), "\nState:\tS") {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("it does not run on:\n%s", b)
}

func TestUsage(t *testing.T) {
	for args, want := range map[string]string{
		"--json --verify x": "imgcat: --json and --verify can't be used together; see imgcat --help\n",
		"a b":               "imgcat: unexpected argument b; see imgcat --help\n",
	} {
		if _, stderr, status := bash(t, "imgcat "+args); status != 2 || stderr != want {
			t.Errorf("%s: status %d, %q", args, status, stderr)
		}
	}
	if out, _, status := bash(t, "imgcat --help"); status != 0 || !strings.Contains(out, "Shows, exports and verifies what is in an image.") {
		t.Errorf("status %d\n%s", status, out)
	}
}
