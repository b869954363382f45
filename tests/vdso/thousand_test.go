package vdso

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"floe/tests/harness"
)

// TestThousand checkpoints a process whose threads do nothing but call the vDSO,
// a thousand times, and restores it through a proxy each time.
func TestThousand(t *testing.T) {
	bin := build(t, "gcc", "-static", "-O2", "-pthread", "-o", "vdso", "../kernels/victim/vdso.c")
	v := harness.Launch(t, &harness.Victim{Name: "vdso", Args: []string{bin}}, nil)
	image := filepath.Join(v.Dir, "image")
	const rounds = 1000
	for i := range rounds {
		v.Checkpoint(t, image, "")
		harness.Bash(t, "restore -d --vdso proxy "+image)
		if i%50 == 0 {
			alive(t, v, fmt.Sprintf("round %d", i))
		}
	}
	alive(t, v, "in the end")
	if out := output(t, v); strings.Contains(out, "WRONG") {
		t.Error(out)
	}
	// The first checkpoint's vDSO is what it has in the end.
	v.Checkpoint(t, image, "")
	harness.Bash(t, "restore -d --vdso inplace "+image)
	alive(t, v, "in place")
}
