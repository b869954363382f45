package verdict

import (
	"path/filepath"
	"testing"

	"floe/tests/harness"
)

// TestTimers checkpoints timers with ids of every size, twice.
func TestTimers(t *testing.T) {
	v := harness.Launch(t, &harness.Victim{Name: "timers", Args: []string{"./timers"}, Prepare: harness.CompiledC("timers")}, nil)
	image := filepath.Join(v.Dir, "image")
	for range 2 {
		v.Checkpoint(t, image, "")
		v.Restore(t, image, "")
	}
	if e := v.End(t); e.Code() != 0 {
		t.Errorf("%s", e)
	}
	const want = `begin
timer 0, value 100
timer 3, value 101
timer 9000, value 102
timer 16384, value 103
timer 20000, value 104
timer 1000000, value 105
timer 2147483646, value 106
ids are the kernel's again
`
	if got := v.Outcome(t); got != want {
		t.Errorf("it said:\n%s", got)
	}
}
