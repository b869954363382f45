package fds

import (
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPidFDs(t *testing.T) {
	v := python(t, `
def pidfd(n, pid, flags=0): os.dup2(sys_(434, pid, flags), n)
pidfd(60, os.getpid())
pidfd(61, os.getpid(), 0o4200)           # PIDFD_THREAD, PIDFD_NONBLOCK
child = os.fork()
if child == 0: time.sleep(60)
pidfd(62, child)
def gone(n, how):
    pid = os.fork()
    if pid == 0: how()
    pidfd(n, pid); pidfd(n + 1, pid, 0o4000); os.waitpid(pid, 0)
gone(63, lambda: os._exit(7))
gone(65, lambda: os.kill(os.getpid(), 9))
gone(67, lambda: os.kill(os.getpid(), 15))
os.dup2(os.open("/proc/self/fd/63", os.O_RDONLY), 69)
for n in range(3, 60):
    try: os.close(n)
    except OSError: pass
ready(child); wait()
`)
	im := v.save()
	o := reopenImage(t, im, OpenOptions{})
	for fd, want := range map[int32]struct {
		pid   int32
		flags int
		exit  int32
	}{
		60: {v.pids[0], unix.O_RDWR, 0}, 61: {v.pids[0], unix.O_RDWR | 0o4200, 0}, 62: {v.pids[1], unix.O_RDWR, 0},
		63: {-1, unix.O_RDWR, 7 << 8}, 64: {-1, unix.O_RDWR | unix.O_NONBLOCK, 7 << 8}, 65: {-1, unix.O_RDWR, 9}, 67: {-1, unix.O_RDWR, 15},
		69: {-1, 0o100000, 7 << 8},
	} {
		own := o.fd(0, fd)
		if got := infoOf(t, own).get("Pid"); got != strconv.Itoa(int(want.pid)) {
			t.Errorf("fd %d: pid %s, want %d", fd, got, want.pid)
		}
		if got := flagsOf(t, own); got != want.flags {
			t.Errorf("fd %d: flags %#o, want %#o", fd, got, want.flags)
		}
		if want.pid > 0 {
			continue
		}
		info := unix.PidfdInfo{Mask: unix.PIDFD_INFO_EXIT}
		if err := ioctl(own, unix.PIDFD_GET_INFO, &info); err != nil || info.Exit_code != want.exit {
			t.Errorf("fd %d: %v, status %#x, want %#x", fd, err, info.Exit_code, want.exit)
		}
		if err := unix.PidfdSendSignal(own, 0, nil, 0); err != unix.ESRCH {
			t.Errorf("fd %d: a signal to it: %v", fd, err)
		}
	}
	for _, pair := range [][3]int32{{63, 64, 1}, {63, 69, 1}, {63, 65, 0}, {60, 61, 1}} {
		var a, b unix.Stat_t
		if err := unix.Fstat(o.fd(0, pair[0]), &a); err != nil {
			t.Fatal(err)
		}
		if err := unix.Fstat(o.fd(0, pair[1]), &b); err != nil {
			t.Fatal(err)
		}
		if (a.Ino == b.Ino) != (pair[2] == 1) {
			t.Errorf("fds %d and %d: inodes %d and %d", pair[0], pair[1], a.Ino, b.Ino)
		}
	}
}

func TestPidFDLeadsOut(t *testing.T) {
	for name, c := range map[string]struct{ code, want string }{
		"outside": {"sys_(434, os.getppid(), 0)", ", outside of the tree, can't be saved yet; close it, or"},
		"a core": {`import resource
pid = os.fork()
if pid == 0: os.abort()
f = sys_(434, pid, 0); assert os.waitpid(pid, 0)[1] & 0x80`, "of a task that has dumped core"},
	} {
		t.Run(name, func(t *testing.T) {
			v := python(t, "import resource; resource.setrlimit(resource.RLIMIT_CORE, (-1, -1))\n"+c.code+"\nhold()\n")
			if _, err := collect(t, v.freeze()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}
