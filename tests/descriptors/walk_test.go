package descriptors

import (
	"os"
	"strings"
	"testing"
)

// TestWalk: a tree with descriptors of every kind and every setting looks the same
// after a restore, whatever the kernel is asked of them.
func TestWalk(t *testing.T) {
	code, err := os.ReadFile("testdata/everything.py")
	if err != nil {
		t.Fatal(err)
	}
	v := begin(t, string(code))
	before := take(t, v.PID)
	for _, kind := range []string{"eventfd", "timerfd", "signalfd", "eventpoll", "pidfd", "pipe:", "fifo", "/dev/null", "data", "(folder)"} {
		found := false
		for k, name := range before {
			found = found || strings.HasSuffix(k, ": name") && strings.Contains(name, strings.Trim(kind, "()"))
		}
		if !found {
			t.Errorf("the victim has no descriptor of %s", kind)
		}
	}
	again(t, v)
	for _, d := range before.compare(take(t, v.PID)) {
		t.Error(d)
	}
	// What a second checkpoint makes of the first one's restore.
	again(t, v)
	for _, d := range before.compare(take(t, v.PID)) {
		t.Error("the second time: " + d)
	}
	t.Logf("%d answers compared", len(before))
}
