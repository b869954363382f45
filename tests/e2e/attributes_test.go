package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"floe/tests/harness"
)

// attributes are things that a process sets of itself, and how the kernel shows
// them from outside: the same after a restore as before.
var attributes = map[string]struct {
	set  string // python
	look func(pid int) string
}{
	"nice under SCHED_IDLE":        {"os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0)); os.nice(7)", nice},
	"nice under SCHED_RR":          {"os.nice(-3); os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(5))", nice},
	"an ignored SIGTRAP":           {"import signal; signal.signal(signal.SIGTRAP, signal.SIG_IGN)", signals},
	"a signal at the parent's end": {"import ctypes; ctypes.CDLL(None).prctl(1, 15)", signals},
	"flags of an epoll": {"import select, fcntl; e = select.epoll(); fcntl.fcntl(e, fcntl.F_SETFL, os.O_APPEND | os.O_NONBLOCK)",
		func(pid int) string { return lines(fmt.Sprintf("/proc/%d/fdinfo/3", pid), "flags") }},
	"an inheritable capability outside of the bounding set": {`
import ctypes, struct
libc = ctypes.CDLL(None, use_errno=True)
head = struct.pack('II', 0x20080522, 0)
data = ctypes.create_string_buffer(24)
assert libc.capget(head, data) == 0
e0, p0, i0, e1, p1, i1 = struct.unpack('6I', data.raw)
assert libc.capset(head, struct.pack('6I', e0, p0, 1 << 5, e1, p1, 0)) == 0  # CAP_KILL
assert libc.prctl(24, 5, 0, 0, 0) == 0
`, func(pid int) string { return lines(fmt.Sprintf("/proc/%d/status", pid), "Cap(Inh|Prm|Eff|Bnd|Amb)") }},
}

func nice(pid int) string {
	n, err := unix.Getpriority(unix.PRIO_PROCESS, pid)
	a, aerr := unix.SchedGetAttr(pid, 0)
	if err != nil || aerr != nil {
		return fmt.Sprint(err, aerr)
	}
	return fmt.Sprintf("nice %d, policy %d, priority %d", 20-n, a.Policy, a.Priority)
}

func signals(pid int) string { return lines(fmt.Sprintf("/proc/%d/status", pid), "Sig(Ign|Cgt|Blk)") }

// lines are those lines of a file whose key matches.
func lines(path, key string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return strings.Join(regexp.MustCompile("(?m)^"+key+":.*$").FindAllString(string(b), -1), "\n")
}

func TestAttributes(t *testing.T) {
	for name, a := range attributes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code := "import os, time\n" + a.set + "\nprint('begin', flush=True)\ntime.sleep(1000)\n"
			v := harness.Launch(t, &harness.Victim{Name: "attribute", Args: []string{"python3", "-c", code}}, nil)
			before := a.look(v.PID)
			image := filepath.Join(v.Dir, "image")
			v.Checkpoint(t, image, "")
			v.Restore(t, image, "")
			if after := a.look(v.PID); after != before || before == "" {
				t.Errorf("before:\n%s\nafter:\n%s", before, after)
			}
		})
	}
}
