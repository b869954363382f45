package freezer

import (
	"slices"
	"testing"
	"time"
)

func TestBetween(t *testing.T) {
	pids := []int{1, 99, 100, 101, 105, 106, 40000}
	some := []int{101, 105}
	if pidMax() < 32768 {
		some = pids
	}
	for _, c := range []struct {
		name string
		tree Tree
		last int
		want []int
	}{
		{"in order", Tree{lastPID: 100, begin: time.Now()}, 105, some},
		{"begun again at the top", Tree{lastPID: 100, begin: time.Now()}, 90, pids},
		{"something was born", Tree{lastPID: 100, begin: time.Now(), busy: true}, 105, pids},
		{"long ago", Tree{lastPID: 100, begin: time.Now().Add(-time.Second)}, 105, pids},
		{"the kernel does not say", Tree{begin: time.Now()}, 105, pids},
	} {
		possible := c.tree.between(c.last)
		var got []int
		for _, pid := range pids {
			if possible(pid) {
				got = append(got, pid)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
