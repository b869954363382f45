package verdict

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"floe/tests/harness"
)

// TestManySignals checkpoints a process with more signals queued, and more timers,
// than its limit has been lowered to.
func TestManySignals(t *testing.T) {
	v := harness.Launch(t, &harness.Victim{Name: "odd", Args: []string{"./odd", "many"}, Prepare: harness.CompiledC("odd")}, nil)
	read := func() string {
		limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", v.PID))
		if err != nil {
			t.Fatal(err)
		}
		timers, err := os.ReadFile(fmt.Sprintf("/proc/%d/timers", v.PID))
		if err != nil {
			t.Fatal(err)
		}
		return string(limits) + string(timers)
	}
	before := read()
	image := filepath.Join(v.Dir, "image")
	v.Checkpoint(t, image, "")
	v.Restore(t, image, "")
	if after := read(); after != before || strings.Count(after, "ID: ") < 40 {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

// TestCapabilities checkpoints processes with capabilities that can be had in one
// order only: an inheritable one that is not in the bounding set any more, and an
// ambient one with securebits that forbid to raise it.
func TestCapabilities(t *testing.T) {
	for _, name := range []string{"inherit", "ambient"} {
		t.Run(name, func(t *testing.T) {
			v := harness.Launch(t, &harness.Victim{Name: "odd", Args: []string{"./odd", name}, Prepare: harness.CompiledC("odd")}, nil)
			before := capabilities(t, v.PID)
			image := filepath.Join(v.Dir, "image")
			v.Checkpoint(t, image, "")
			v.Restore(t, image, "")
			if after := capabilities(t, v.PID); !slices.Equal(before, after) {
				t.Errorf("before:\n%s\nafter:\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
			}
		})
	}
}

func capabilities(t *testing.T, pid int) []string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for l := range strings.Lines(string(b)) {
		if strings.HasPrefix(l, "Cap") {
			list = append(list, strings.TrimSpace(l))
		}
	}
	return list
}
