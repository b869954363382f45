package kernels

import (
	"strings"
	"testing"
	"time"

	"floe/tests/kernels/job"
)

// TestMemory moves a process with named memory, and memory of each advice. The
// machine's own kernel may have no names, Debian's have.
func TestMemory(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	const from = "6.1"
	v := &traveller{leg: job.Leg{Name: "memory", Program: []string{"/victim/memory"}, Lines: 4, FirstID: 27000}, origin: from}
	route(t, []string{from, "6.12", "7.2", from}, []*traveller{v}, nil)
	if !strings.HasPrefix(v.last, "ok ") {
		t.Errorf("it said last: %q", v.last)
	}
	t.Logf("%.1f s", time.Since(begun).Seconds())
}
