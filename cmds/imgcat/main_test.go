package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"floe/lib/cli"
)

// measureEnv makes the test binary run a program and print what memory it
// needed, KiB. Its own is small: that of who starts a program counts, too.
const measureEnv = "FLOE_TEST_MEASURE"

func TestMain(m *testing.M) {
	if os.Getenv(measureEnv) != "" {
		cmd := exec.Command(os.Args[1], os.Args[2:]...)
		cmd.Stdin = os.Stdin
		err := cmd.Run()
		if cmd.ProcessState == nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(cmd.ProcessState.ExitCode(), cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)
		os.Exit(0)
	}
	status := m.Run()
	if dir, err := programs(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(status)
}

// programs builds all of floe.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "floe-imgcat")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-o", dir, "floe/cmds/...")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("%w: %s", err, out)
	}
	return dir, nil
})

func program(t *testing.T, name string) string {
	t.Helper()
	dir, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// result is what a run came to.
type result struct {
	out    string
	status int
	err    error
}

// imgcat runs it on a file, in this process.
func imgcat(t *testing.T, f flags, quiet bool) result {
	t.Helper()
	in, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	return imgcatOn(f, quiet, in)
}

func imgcatOn(f flags, quiet bool, in *os.File) result {
	var out bytes.Buffer
	log := cli.NewLogger(io.Discard, "imgcat")
	log.Quiet = quiet
	err := run(&f, in, &out, log)
	return result{out.String(), cli.Status(err), err}
}

// piped runs it on bytes that come through a pipe.
func piped(t *testing.T, f flags, b []byte) result {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer w.Close()
		_, _ = w.Write(b) // it may stop reading
	}()
	return imgcatOn(f, false, r)
}

// tempFile writes bytes to a file.
func tempFile(t *testing.T, b []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "img")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// refused makes sure that an image was refused, in one line.
func refused(t *testing.T, what string, r result, says ...string) {
	t.Helper()
	if r.status != cli.StatusBadInput || r.err == nil {
		t.Errorf("%s: status %d, %v", what, r.status, r.err)
		return
	}
	for _, s := range append(says, "; ") { // all of them say what to do
		if !strings.Contains(r.err.Error(), s) {
			t.Errorf("%s: %q does not say %q", what, r.err, s)
		}
	}
}

// victimScript keeps no descriptors but the first three, which whoever runs the
// tests may have left open.
const victimScript = `for f in /proc/$$/fd/*; do f=${f##*/}; if [ $f -gt 2 ]; then eval "exec $f>&-"; fi; done
sleep 1000 | cat & echo ready; wait`

// victim starts a small tree in a session of its own, and ends it when the test
// is done.
func victim(t *testing.T) int {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("this test needs root")
	}
	ready, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("bash", "-c", victimScript)
	cmd.Stdout = w
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	t.Cleanup(func() {
		ready.Close() // the tree's output leads out of it until then
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
	var b [6]byte
	if _, err := io.ReadFull(ready, b[:]); err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid
}

// bash runs a pipeline of floe's programs.
func bash(t *testing.T, script string) (out, stderr string, status int) {
	t.Helper()
	cmd := exec.Command("bash", "-c", "umask 077; "+script)
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(program(t, "imgcat"))+":"+os.Getenv("PATH"))
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return o.String(), e.String(), cmd.ProcessState.ExitCode()
}

// realImage is what the pipeline made, and the pid of its root, which is dead by now.
type realImage struct {
	bytes []byte
	pid   int
}

var real struct {
	sync.Once
	realImage
}

func realOne(t *testing.T) realImage {
	t.Helper()
	real.Do(func() {
		pid := victim(t)
		name := filepath.Join(t.TempDir(), "img")
		if _, stderr, status := bash(t, "freeze --then kill "+strconv.Itoa(pid)+" | vmadump | vdsoprobe | fddump | pagedump --compress lz4 > "+name); status != 0 {
			t.Fatal(stderr)
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		real.realImage = realImage{b, pid}
	})
	if real.bytes == nil {
		t.Fatal("no image")
	}
	return real.realImage
}
