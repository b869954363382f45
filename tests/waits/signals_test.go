package waits

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"floe/tests/harness"
)

// TestBare: signals that are pending without a siginfo stay so.
func TestBare(t *testing.T) {
	v := harness.Launch(t, &harness.Victim{Name: "bare", Args: []string{"./bare"}, Prepare: harness.CompiledC("bare")}, nil)
	before := pending(t, v.PID)
	image := filepath.Join(v.Dir, "image")
	for range 2 {
		v.Checkpoint(t, image, "")
		v.Restore(t, image, "")
		if after := pending(t, v.PID); after != before {
			t.Errorf("before:\n%s\nafter:\n%s", before, after)
		}
	}
	if err := os.WriteFile(filepath.Join(v.Dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if e := v.End(t); e.Code() != 0 {
		t.Errorf("%s", e)
	}
	// sigtimedwait(2) looks at the thread's own first; of each the lowest number.
	const want = `begin
first thread: signal 28, code 0, pid 0, value 0
first thread: signal 10, code 0, pid 0, value 0
first thread: signal 35, code 0, pid 0, value 0
first thread: signal 39, code -1, pid 77, value 5
other thread: signal 12, code 0, pid 0, value 0
`
	if got := v.Outcome(t); got != want {
		t.Errorf("it said:\n%s", got)
	}
}

// pending is what /proc says of the pending signals of all threads.
func pending(t *testing.T, pid int) string {
	t.Helper()
	var all strings.Builder
	for _, tid := range harness.Threads(pid) {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/status", pid, tid))
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString(strings.Join(regexp.MustCompile("(?m)^(Pid|SigPnd|ShdPnd|SigBlk):.*$").FindAllString(string(b), -1), "\n") + "\n")
	}
	return all.String()
}

// TestExpired: timers whose signals are pending are in the same state afterwards: what
// they report, what they have missed, what is dropped because they were set anew; and
// the time of a thread's CPU timer is that of its thread.
func TestExpired(t *testing.T) {
	victim := &harness.Victim{Name: "expired", Args: []string{"./expired"}, Prepare: harness.CompiledC("expired")}
	outcome := func(rounds int) string {
		v := harness.Launch(t, victim, nil)
		image := filepath.Join(v.Dir, "image")
		for range rounds {
			v.Checkpoint(t, image, "")
			v.Restore(t, image, "")
		}
		if err := os.WriteFile(filepath.Join(v.Dir, "go"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if e := v.End(t); e.Code() != 0 {
			t.Errorf("%s", e)
		}
		return v.Outcome(t)
	}
	want := outcome(0)
	if strings.Contains(want, "wrong") || strings.Count(want, "\n") < 15 {
		t.Fatalf("uninterrupted it said:\n%s", want)
	}
	for rounds := 1; rounds <= 2; rounds++ {
		if got := outcome(rounds); got != want {
			t.Errorf("after %d rounds it said:\n%s\nand uninterrupted:\n%s", rounds, got, want)
		}
	}
}
