package kernels

import (
	"strings"
	"testing"
	"time"

	"floe/tests/kernels/job"
)

// TestMemory moves a process with memory of each advice, with a policy, and with
// names, where the kernel has any.
func TestMemory(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	const from = "6.12"
	v := &traveller{leg: job.Leg{Name: "memory", Program: []string{"/victim/memory"}, Lines: 4, FirstID: 27000}, origin: from}
	route(t, []string{from, "7.2", "6.1", from}, []*traveller{v}, nil)
	if !strings.HasPrefix(v.last, "ok ") {
		t.Errorf("it said last: %q", v.last)
	}
	t.Logf("%.1f s", time.Since(begun).Seconds())
}

// TestKeys has a process with a protection key, which the emulated processor
// knows: it is refused.
func TestKeys(t *testing.T) {
	t.Parallel()
	for _, kernel := range []string{"5.10", "6.12"} {
		j := job.Job{Legs: []job.Leg{{Name: "key", Program: []string{"/victim/memory", "key"}, Lines: 2, FirstID: 28000, Dump: "img/key"}}}
		r, _, err := machine(t, kernel, j, nil)
		if err != nil {
			t.Fatalf("%s: %v", kernel, err)
		}
		const want = "it has allocated the protection key 1 (pkey_alloc)"
		if res := r.Results[0]; !strings.Contains(res.Failed+res.Said, want) {
			t.Errorf("%s: failed: %q, said: %q; want %q", kernel, res.Failed, res.Said, want)
		}
	}
}
