package badinput

import (
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"floe/tests/harness"
)

// TestRefuse has freeze refuse what it must not or can't touch.
func TestRefuse(t *testing.T) {
	v := harness.Launch(t, sleeper, nil)
	traced := harness.Launch(t, sleeper, nil)
	runtime.LockOSThread() // ptrace belongs to a thread
	defer runtime.UnlockOSThread()
	if err := unix.PtraceSeize(traced.PID); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.PtraceDetach(traced.PID) }()
	cases := []struct {
		name, says string
		code       int
		args       []string
	}{
		{"no argument", "pid", usage, nil},
		{"text", "pid", usage, []string{"bash"}},
		{"unknown flag", "--frob", usage, []string{"--frob", "1234"}},
		{"unknown end", "then", usage, []string{"--then", "explode", strconv.Itoa(v.PID)}},
		{"zero", "", failed, []string{"0"}},
		{"nobody", "4194303", failed, []string{"4194303"}},
		{"init", "1", failed, []string{"1"}},
		{"kernel thread", "2", failed, []string{"2"}},
		{"ancestor", "", failed, []string{strconv.Itoa(os.Getpid())}},
		{"traced", strconv.Itoa(traced.PID), failed, []string{strconv.Itoa(traced.PID)}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := harness.StartMeasured(t, nil, struct{ io.Writer }{io.Discard}, "freeze", c.args...)
			if r := judge(t, "freeze", p, c.code); !strings.Contains(r.line, c.says) {
				t.Errorf("%q does not say %q", r.line, c.says)
			}
		})
	}
	unharmed(t, v)
}

// TestUsage gives every program flags that it does not have.
func TestUsage(t *testing.T) {
	for _, name := range append([]string{"freeze", "restore", "imgcat"}, stages...) {
		t.Run(name, func(t *testing.T) {
			judge(t, name, feed(t, name, []string{"--no-such-flag"}, nil), usage)
		})
	}
}
