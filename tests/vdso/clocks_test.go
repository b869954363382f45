package vdso

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"floe/lib/record"
	"floe/tests/harness"
)

// clock writes its clocks all the time, and what its timers do; all times in
// seconds.
var clock = &harness.Victim{Name: "clock", Args: []string{"python3", "-u", "-c", `
import ctypes, os, select, struct, threading, time
libc = ctypes.CDLL(None, use_errno=True)
def say(*what): # in one write: two threads do
    os.write(1, (' '.join(map(str, what)) + '\n').encode())
def timerfd(flags, value):
    fd = libc.timerfd_create(time.CLOCK_MONOTONIC, 0)
    spec = struct.pack('qqqq', 0, 0, int(value), int(value % 1 * 1e9))
    assert libc.timerfd_settime(fd, flags, spec, None) == 0
    return fd
begin = time.monotonic()
fds = {timerfd(1, begin + 3): 'absolute', timerfd(0, 3): 'relative'}
def wait():
    e = threading.Event()
    e.wait(3)
    say('waited', time.monotonic() - begin)
threading.Thread(target=wait).start()
while True:
    for fd in select.select(list(fds), [], [], 0.02)[0]:
        say(fds.pop(fd), time.monotonic() - begin)
        os.read(fd, 8)
    say('clocks', time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME))
`}}

// TestOtherBoot restores an image that says it is of another boot, whose clocks
// stood elsewhere: they go on from there, through two more checkpoints too.
func TestOtherBoot(t *testing.T) {
	for name, shift := range map[string]time.Duration{"ahead": 1000 * time.Hour, "behind": -time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := harness.Launch(t, clock, nil)
			time.Sleep(time.Second)
			image := filepath.Join(v.Dir, "image")
			v.Checkpoint(t, image, "")
			anotherBoot(t, image, shift)
			time.Sleep(2 * time.Second) // that the clocks must not show
			var frozen *record.Clocks
			harness.Rewrite(t, image, func(r *record.Record) bool {
				if h := r.GetHeader(); h != nil {
					frozen = h.Clocks
				}
				return true
			})
			at := mark(t, v)
			v.Restore(t, image, "")
			time.Sleep(time.Second / 2)
			m, b := clocks(t, v, at)
			near(t, "CLOCK_MONOTONIC after the restore", m[0], float64(frozen.MonotonicNs+frozen.MonotonicOffsetNs)/1e9, 0.4)
			near(t, "CLOCK_BOOTTIME after the restore", b[0], float64(frozen.BoottimeNs+frozen.BoottimeOffsetNs)/1e9, 0.4)
			for range 2 { // on one boot, in a time namespace
				last := m[len(m)-1]
				v.Checkpoint(t, image, "")
				at = mark(t, v)
				v.Restore(t, image, "")
				time.Sleep(time.Second / 2)
				m, _ = clocks(t, v, at)
				near(t, "CLOCK_MONOTONIC after another checkpoint", m[0], last, 1.5)
			}
			v.Checkpoint(t, image, "")
			v.Restore(t, image, "")
			expired(t, v)
		})
	}
}

// expired wants each timer to have expired as late as it should by the tree's
// own clock.
func expired(t *testing.T, v *harness.Running) {
	t.Helper()
	for _, what := range []string{"absolute", "relative", "waited"} {
		out, i := "", -1
		for until := time.Now().Add(harness.Limit); i < 0; time.Sleep(10 * time.Millisecond) {
			out = output(t, v)
			if i = strings.Index(out, "\n"+what+" "); i < 0 && time.Now().After(until) {
				t.Fatalf("%s: not expired", what)
			}
		}
		var after float64
		if _, err := fmt.Sscanf(out[i+1:], what+" %f\n", &after); err != nil {
			t.Fatal(err)
		}
		near(t, what, after, 3, 2)
	}
}

// TestHostClocks restores on another boot with that boot's clocks.
func TestHostClocks(t *testing.T) {
	v := harness.Launch(t, clock, nil)
	time.Sleep(time.Second / 2)
	image := filepath.Join(v.Dir, "image")
	v.Checkpoint(t, image, "")
	anotherBoot(t, image, 1000*time.Hour)
	at := mark(t, v)
	harness.Bash(t, "restore -d --clocks host "+image)
	time.Sleep(time.Second / 2)
	m, _ := clocks(t, v, at)
	near(t, "CLOCK_MONOTONIC", now(t, unix.CLOCK_MONOTONIC), m[len(m)-1], 1)
	if out, err := exec.Command("restore", "--clocks", "never", image).CombinedOutput(); err == nil {
		t.Errorf("--clocks never: %s", out)
	}
}

// anotherBoot has an image come from another boot, on which this one's monotonic
// clocks and shift were the boot's own, and the tree had them as they were.
func anotherBoot(t *testing.T, image string, shift time.Duration) {
	t.Helper()
	harness.Rewrite(t, image, func(r *record.Record) bool {
		if h := r.GetHeader(); h != nil {
			h.BootId = "01234567-89ab-cdef-0123-456789abcdef"
			h.Clocks.MonotonicNs += int64(shift)
			h.Clocks.MonotonicOffsetNs -= int64(shift)
			h.Clocks.BoottimeNs += int64(shift)
			h.Clocks.BoottimeOffsetNs -= int64(shift)
		}
		return true
	})
}

func now(t *testing.T, id int32) float64 {
	t.Helper()
	var ts unix.Timespec
	if err := unix.ClockGettime(id, &ts); err != nil {
		t.Fatal(err)
	}
	return float64(ts.Nano()) / 1e9
}

func near(t *testing.T, what string, got, want, by float64) {
	t.Helper()
	if got < want || got > want+by {
		t.Errorf("%s: %f, want %f to %f", what, got, want, want+by)
	}
}

// mark is how much a victim has written.
func mark(t *testing.T, v *harness.Running) int64 {
	t.Helper()
	st, err := os.Stat(v.Output())
	if err != nil {
		t.Fatal(err)
	}
	return st.Size()
}

// clocks are the clocks that a victim has written since a mark.
func clocks(t *testing.T, v *harness.Running, since int64) (monotonic, boottime []float64) {
	t.Helper()
	out, err := os.ReadFile(v.Output())
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out[since:])) {
		var m, b float64
		if n, _ := fmt.Sscanf(line, "clocks %f %f\n", &m, &b); n != 2 {
			continue
		}
		if n := len(monotonic); n > 0 && m < monotonic[n-1] {
			t.Errorf("CLOCK_MONOTONIC went back from %f to %f", monotonic[n-1], m)
		}
		monotonic, boottime = append(monotonic, m), append(boottime, b)
	}
	if len(monotonic) == 0 {
		t.Fatalf("no clocks: %s", out[since:])
	}
	return monotonic, boottime
}
