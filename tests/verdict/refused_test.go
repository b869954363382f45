package verdict

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"floe/tests/harness"
)

// TestRefused has trees that can't be restored: the dump says so, and they run on.
func TestRefused(t *testing.T) {
	for _, c := range []struct{ name, say string }{
		{"core", "a zombie that dumped core"},
		{"stopped", "a SIGTRAP is pending while it is stopped"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := harness.Launch(t, &harness.Victim{Name: "odd", Args: []string{"./odd", c.name}, Prepare: harness.CompiledC("odd")}, nil)
			before := harness.Pictures(v.PID)
			p := harness.Start(t, nil, nil, "bash", "-c", fmt.Sprintf("freeze --then kill %d | %s > %s", v.PID, harness.Stages, filepath.Join(v.Dir, "image")))
			if e := p.Wait(t); e.Code() != 1 || !strings.Contains(p.Stderr.String(), c.say) {
				t.Errorf("%s: %s", e, p.Stderr)
			}
			if c.name == "stopped" {
				harness.Bash(t, fmt.Sprintf("kill -CONT %d", v.PID))
			}
			awaitRunning(t, v.PID)
			if d := harness.Difference(before, harness.Pictures(v.PID)); len(d) > 0 {
				t.Errorf("changed: %s", strings.Join(d, "\n"))
			}
		})
	}
}
