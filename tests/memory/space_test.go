package memory

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"floe/tests/harness"
)

func launchSpace(t *testing.T, kinds ...string) *harness.Running {
	t.Helper()
	return harness.Launch(t, &harness.Victim{Name: "space", Args: append([]string{"./space"}, kinds...), Prepare: harness.CompiledC("space")}, nil)
}

// TestSpace sets what belongs to a whole address space, and what registers say of
// it: the process finds it as it was, after two restores.
func TestSpace(t *testing.T) {
	for _, kinds := range []string{"", "future", "all", "onfault", "ldt", "gs-ldt", "ds-ldt", "gs-base", "selectors", "id", "nested id", "future ldt gs-ldt ds-ldt id nested"} {
		t.Run(kinds, func(t *testing.T) {
			r := launchSpace(t, strings.Fields(kinds)...)
			image := filepath.Join(r.Dir, "image")
			for range 2 {
				r.Checkpoint(t, image, "")
				r.Restore(t, image, "")
			}
			if err := os.WriteFile(filepath.Join(r.Dir, "go"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if e := r.End(t); e.Code() != 0 {
				t.Errorf("it has ended with %s", e)
			}
			got := reports(t, r)
			if len(got) != 2 || len(got[0]) < 5 {
				t.Fatalf("it said, %d times: %q", len(got), got)
			}
			if d := harness.Difference(got[0], got[1]); len(d) > 0 {
				t.Errorf("before and after:\n%s", strings.Join(d, "\n"))
			}
		})
	}
}

// TestSpaceRefused has what can't be restored: freeze says so, and it runs on.
// Between two traps a handler runs, without the flag: then there is no reason to
// refuse.
func TestSpaceRefused(t *testing.T) {
	for kind, want := range map[string]string{
		"area": "has segments of its own (set_thread_area)",
		"trap": "traps after each instruction (trap flag)",
	} {
		t.Run(kind, func(t *testing.T) {
			r, refused := launchSpace(t, kind), false
			for range 200 {
				p := harness.Start(t, nil, nil, "freeze", fmt.Sprint(r.PID))
				e := p.Wait(t)
				if refused = e.Code() == 1 && strings.Contains(p.Stderr.String(), want); refused {
					break
				}
				if e.Code() != 0 || kind != "trap" {
					t.Fatalf("%s: %s; want %q", e, p.Stderr, want)
				}
			}
			if !refused {
				t.Errorf("never refused; want %q", want)
			}
			if err := os.WriteFile(filepath.Join(r.Dir, "go"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if e := r.End(t); e.Code() != 0 {
				t.Errorf("it has ended with %s", e)
			}
		})
	}
}
