package kernels

import (
	"fmt"
	"strings"
	"testing"

	"floe/tests/kernels/job"
)

// checkFeatures compares what freeze has found on a kernel by trying with what
// its release says.
func checkFeatures(t *testing.T, r *job.Report) {
	t.Helper()
	var major, minor int
	if _, err := fmt.Sscanf(r.Kernel, "%d.%d", &major, &minor); err != nil {
		t.Errorf("kernel %q: %v", r.Kernel, err)
		return
	}
	lines := strings.Split(strings.TrimSpace(r.Can), "\n")[1:]
	if len(lines) < 10 {
		t.Errorf("%s: %q", r.Kernel, r.Can)
	}
	for _, l := range lines {
		f := strings.Fields(l)
		var since [2]int
		if _, err := fmt.Sscanf(f[1], "%d.%d", &since[0], &since[1]); err != nil && f[1] != "-" {
			t.Errorf("%s: %q: %v", r.Kernel, l, err)
			continue
		}
		want := "no"
		if major > since[0] || major == since[0] && minor >= since[1] {
			want = "yes"
		}
		if f[0] != want {
			t.Errorf("Linux %s: %s, want %s", r.Kernel, l, want)
		}
	}
}
