package verdict

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"floe/tests/harness"
)

// TestTrap checkpoints a process with SIGTRAPs that it has blocked, twice, and has
// it take them.
func TestTrap(t *testing.T) {
	v := harness.Launch(t, &harness.Victim{Name: "odd", Args: []string{"./odd", "trap"}, Prepare: harness.CompiledC("odd")}, nil)
	image := filepath.Join(v.Dir, "image")
	for range 2 {
		v.Checkpoint(t, image, "")
		v.Restore(t, image, "")
	}
	harness.Bash(t, fmt.Sprintf("kill %d", v.PID))
	if e := v.End(t); e.Code() != 0 {
		t.Errorf("%s", e)
	}
	const want = "begin\nsignal 5, sent, value 0, by itself\nsignal 5, queued, value 7, by itself\n"
	if got := v.Outcome(t); !strings.HasSuffix(got, want) {
		t.Errorf("it said:\n%s", got)
	}
}
