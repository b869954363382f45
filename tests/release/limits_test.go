package release

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"floe/tests/harness"
)

// TestTight restores processes that may have hardly anything more: they come back
// with the room that they had, and with nothing of restore's.
func TestTight(t *testing.T) {
	const page = "4096"
	for _, test := range []struct {
		args []string
		user *syscall.Credential
	}{
		{[]string{"as", page}, nil},
		{[]string{"as", "8192"}, nil},
		{[]string{"as", "69632"}, nil},
		{[]string{"as", "307200"}, harness.User},
		{[]string{"as", "12288", "5"}, harness.User},
		{[]string{"data", page}, nil},
		{[]string{"data", "8192"}, harness.User},
		{[]string{"data", "307200"}, nil},
		{[]string{"data", "12288", "5"}, nil},
		{[]string{"memlock", "0"}, harness.User},
		{[]string{"memlock", page}, harness.User},
		{[]string{"maps", "40960"}, nil}, // what restore needs besides
	} {
		t.Run(strings.Join(test.args, "/"), func(t *testing.T) {
			v := harness.Launch(t, harness.Tight(test.args...), test.user)
			before := harness.Pictures(v.PID)
			image := filepath.Join(v.Dir, "image")
			for range 2 {
				v.Checkpoint(t, image, "")
				v.Restore(t, image, "")
				if d := difference(before, harness.Pictures(v.PID)); len(d) > 0 {
					t.Fatalf("restored, it has\n%.4000s", strings.Join(d, "\n"))
				}
				v.Goes(t)
			}
		})
	}
}

// TestStopped restores processes of several threads that were stopped, with a
// signal pending that has no business before they go on.
func TestStopped(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU} {
		for _, threads := range []string{"1", "5"} {
			t.Run(fmt.Sprintf("%s/%s", sig, threads), func(t *testing.T) {
				v := harness.Launch(t, harness.Tight("as", "307200", threads, "child"), nil)
				before := harness.Pictures(v.PID)
				image := filepath.Join(v.Dir, "image")
				child := harness.Tree(v.PID)[1]
				if err := syscall.Kill(child, sig); err != nil {
					t.Fatal(err)
				}
				stopped(t, child)
				if err := syscall.Kill(child, syscall.SIGURG); err != nil {
					t.Fatal(err)
				}
				for range 2 {
					v.Checkpoint(t, image, "")
					p := harness.Start(t, nil, nil, "restore", "-d", image)
					if e := p.Wait(t); e.Code() != 0 || p.Stderr.Len() > 0 {
						t.Fatalf("%s %s", e, p.Stderr)
					}
					stopped(t, child)
				}
				if d := difference(before, harness.Pictures(v.PID)); len(d) > 0 {
					t.Fatalf("restored, it has\n%.4000s", strings.Join(d, "\n"))
				}
				if err := syscall.Kill(child, syscall.SIGCONT); err != nil {
					t.Fatal(err)
				}
				v.Goes(t)
			})
		}
	}
}

// stopped makes sure that all threads are in a stop, and stay there.
func stopped(t *testing.T, pid int) {
	t.Helper()
	until := time.Now().Add(5 * time.Second)
	for seen := 0; seen < 5; time.Sleep(10 * time.Millisecond) {
		seen++
		for _, tid := range harness.Threads(pid) {
			s, ok := harness.ReadStat(tid)
			if !ok || time.Now().After(until) {
				t.Fatalf("thread %d: %+v", tid, s)
			}
			if s.State != "T" || s.Tracer != 0 {
				seen = 0
			}
		}
	}
}

// difference is harness.Difference for long lists.
func difference(a, b []string) []string {
	in := map[string]int{}
	for _, l := range a {
		in[l]++
	}
	for _, l := range b {
		in[l]--
	}
	var out []string
	for l, n := range in {
		if n != 0 {
			out = append(out, fmt.Sprintf("%+d %s", -n, l))
		}
	}
	return out
}
