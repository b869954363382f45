package descriptors

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"floe/tests/harness"
)

// behaviours are programs that hold() in the middle, and then see for themselves
// whether what they had is still so: an assertion that fails ends them.
var behaviours = map[string]string{
	// si_fd is the number by which O_ASYNC was switched on.
	"signals tell the number": `
signal.pthread_sigmask(signal.SIG_BLOCK, [40, 41])
r, w = os.pipe(); at(60, r); at(61, w)
owner(60, 1, os.getpid(), 40, os.O_ASYNC)
r, w = os.pipe(); at(1000, r); at(1001, w)
owner(1000, 0, os.getpid(), 41, os.O_ASYNC)
def told(sig):
    info = ctypes.create_string_buffer(128)
    got = sys_(128, struct.pack("Q", 1 << (sig - 1)), info, struct.pack("qq", 10, 0), 8)
    assert got == sig, got
    return struct.unpack("i", info.raw[24:28])[0]
hold()
os.write(61, b"x"); n = told(40); assert n == 60, n
os.write(1001, b"x"); n = told(41); assert n == 1000, n
`,
	// The kernel sends a signal to an owner that the one that set it may signal.
	"users of owners": `
import pwd
child = os.fork()
if child == 0:
    signal.pthread_sigmask(signal.SIG_BLOCK, [40])
    os.setresuid(54321, 54321, 54321)
    signal.sigwait([40]); os._exit(9)
time.sleep(0.2)
r, w = os.pipe(); at(60, r); at(61, w)
os.setresuid(12345, 12345, 0)
fcntl.fcntl(60, F_SETOWN_EX, struct.pack("ii", 1, child))
os.setresuid(0, 0, 0)
fcntl.fcntl(60, F_SETSIG, 40); fcntl.fcntl(60, fcntl.F_SETFL, os.O_ASYNC)
hold()
os.write(61, b"x")
time.sleep(0.2); assert os.waitpid(child, os.WNOHANG) == (0, 0)
fcntl.fcntl(60, F_SETOWN_EX, struct.pack("ii", 1, child)); os.write(61, b"x")
assert os.waitpid(child, 0)[1] >> 8 == 9
`,
	"edges that were reported": `
r, w = os.pipe(); at(60, r); at(61, w); os.write(61, b"x")
at(62, sys_(290, 7, 0))
r, w = os.pipe(); at(63, r); at(64, w)
ep = at(70, sys_(291, 0))
for fd in 60, 61, 62, 63: add(ep, fd, IN|OUT|ET, fd)
assert reported(ep) == [60, 61, 62]
outer = at(71, sys_(291, 0)); add(outer, ep, IN|ET, 70)
assert reported(outer) == []
hold()
assert reported(ep) == [], "again"
assert reported(outer) == []
os.write(64, b"y"); assert reported(outer) == [70]; assert reported(ep) == [63]
os.write(61, b"y"); assert reported(ep) == [60]
os.write(62, struct.pack("Q", 1)); assert reported(ep) == [62]
`,
	"edges that were not": `
r, w = os.pipe(); at(60, r); at(61, w); os.write(61, b"x")
ep = at(70, sys_(291, 0)); add(ep, 60, IN|ET, 60)
at(62, sys_(290, 1, 0)); one = at(72, sys_(291, 0)); add(one, 62, IN|ET|ONESHOT, 62)
lone = at(73, sys_(291, 0)); add(lone, 60, IN|ET, 60); assert reported(lone) == [60]
add(lone, 62, IN, 62); assert reported(lone) == [62]
hold()
assert reported(ep) == [60]; assert reported(ep) == []
assert reported(one) == [62]; assert reported(one) == []
assert 62 in reported(lone)
`,
	"edges of timers": `
def timer(n, seconds, interval=0):
    fd = at(n, sys_(283, 1, 0o4000))
    sys_(286, fd, 0, struct.pack("qqqq", int(interval), int(interval % 1 * 1e9), int(seconds), max(1, int(seconds % 1 * 1e9))), None)
    return fd
ep = at(70, sys_(291, 0))
add(ep, timer(60, 0), IN|ET, 60); add(ep, timer(61, 1.5), IN|ET, 61)
time.sleep(0.01)
assert reported(ep) == [60]
hold()
time.sleep(1.6)
assert reported(ep) == [61], "of the second only"
`,
	"pidfds": `
def task(how=lambda: time.sleep(1000)):
    pid = os.fork()
    if pid == 0: how(); os._exit(0)
    return pid
child = task()
fd = at(60, sys_(434, child, 0))
gone = task(lambda: os._exit(7)); dead = at(61, sys_(434, gone, 0)); os.waitpid(gone, 0)
zombie = task(lambda: os._exit(9)); left = at(62, sys_(434, zombie, 0))
os.waitid(os.P_PID, zombie, os.WEXITED|os.WNOWAIT)
sharer = task(); sharers = at(63, sys_(434, os.getpid(), 0))
ep = at(70, sys_(291, 0)); add(ep, fd, IN, 60); add(ep, left, IN|ET, 62); assert reported(ep) == [62]
hold()
assert reported(ep) == []
def fails(code, f):
    try: f(); assert False
    except OSError as e: assert e.errno == code, e
fails(errno.ESRCH, lambda: sys_(424, dead, 0, 0, 0)); fails(errno.ECHILD, lambda: os.waitid(3, dead, os.WEXITED))
assert os.waitid(3, left, os.WEXITED).si_status == 9
sys_(424, sharers, 0, 0, 0)
sys_(424, fd, 15, 0, 0)
r = os.waitid(3, fd, os.WEXITED); assert (r.si_pid, r.si_status) == (child, 15), r
assert 60 in reported(ep)
`,
	"directories go on": `
os.mkdir("d")
for i in range(300): open("d/%03d" % i, "w")
fd = at(60, os.open("d", os.O_RDONLY))
buf = ctypes.create_string_buffer(2000)
def names():
    n = sys_(217, fd, buf, 2000); b = buf.raw[:n]; out = []
    while b:
        l = struct.unpack("H", b[16:18])[0]
        out.append(b[19:l].split(b"\0")[0].decode()); b = b[l:]
    return out
got = names()
hold()
while True:
    more = names()
    if not more: break
    got += more
assert len(got) == 302 and len(set(got)) == 302, got
`,
	"locks of a child that took them": `
open("f", "w")
at(60, os.open("f", os.O_RDWR))
child = os.fork()
if child == 0:
    fcntl.flock(60, fcntl.LOCK_EX); time.sleep(1000)
def holder(): return [l.split()[5] for l in open("/proc/self/fdinfo/60") if l.startswith("lock")]
while holder() != [str(child)]: time.sleep(0.01)
hold()
assert holder() == [str(child)], holder()
os.kill(child, 9); os.waitpid(child, 0)
fd = os.open("f", os.O_RDWR)
try: fcntl.flock(fd, fcntl.LOCK_EX|fcntl.LOCK_NB); assert False
except BlockingIOError: pass
fcntl.flock(60, fcntl.LOCK_UN); fcntl.flock(fd, fcntl.LOCK_EX|fcntl.LOCK_NB)
`,
}

func TestBehaviour(t *testing.T) {
	for name, code := range behaviours {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := begin(t, code+"\nprint('well', flush=True)\nwhile True: time.sleep(1)\n")
			again(t, v)
			finish(t, v)
		})
	}
}

// finish has a program go on, and waits for what it has to say.
func finish(t *testing.T, v *harness.Running) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(v.Dir, "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	out := ""
	for until := time.Now().Add(harness.Limit); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		b, err := os.ReadFile(v.Output())
		if err != nil {
			t.Fatal(err)
		}
		if out = string(b); strings.HasSuffix(out, "well\n") {
			return
		}
		if _, err := os.Stat(fmt.Sprintf("/proc/%d/exe", v.PID)); err != nil {
			break
		}
	}
	b, _ := os.ReadFile(v.Output())
	t.Errorf("it said\n%s", b)
}
