package fds

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPipeKeepsItsBytes(t *testing.T) {
	v := python(t, `
r, w = os.pipe()
fcntl.fcntl(w, 1031, 1 << 17)  # F_SETPIPE_SZ
os.write(w, b"some "); os.write(w, b"bytes")
os.set_blocking(r, False)
os.dup2(r, 60); os.dup2(w, 61)
# A child that reads what the parent wrote.
pid = os.fork()
if pid == 0:
    os.close(w); os.close(61)
    time.sleep(1000)
os.close(r); os.close(60)
ready(pid); wait()
os.write(w, b"!")
print(os.read(os.open("/proc/%d/fd/60" % pid, os.O_RDONLY), 100).decode(), flush=True)
wait()
`)
	im := v.save()
	o := reopenImage(t, im, OpenOptions{})
	r, w := o.fd(1, 60), o.fd(0, 61)
	if _, err := unix.Write(w, []byte("!")); err != nil {
		t.Error(err)
	}
	if flagsOf(t, r)&unix.O_NONBLOCK == 0 || flagsOf(t, w)&unix.O_NONBLOCK != 0 {
		t.Errorf("O_NONBLOCK: reader %#o, writer %#o", flagsOf(t, r), flagsOf(t, w))
	}
	if n, _ := unix.FcntlInt(uintptr(r), unix.F_GETPIPE_SZ, 0); n != 1<<17 {
		t.Errorf("the pipe holds %d bytes", n)
	}
	if got := o.read(r, 100); got != "some bytes!" {
		t.Errorf("the restored pipe has %q", got)
	}
	v.thaw()
	v.say("go on")
	if got := v.line(); got != "some bytes!" {
		t.Errorf("the victim's pipe has %q after the dump", got)
	}
}

func TestFullPipe(t *testing.T) {
	v := python(t, `
r, w = os.pipe()
os.set_blocking(w, False)
n = 0
try:
    while True: n += os.write(w, b"%07d\n" % (n // 8))
except BlockingIOError: pass
os.dup2(r, 60); os.dup2(w, 61)
hold()
`)
	o := v.saveAndOpen()
	got := o.read(o.fd(0, 60), 1<<20)
	if len(got) != 65536 || !strings.HasPrefix(got, "0000000\n0000001\n") || !strings.HasSuffix(got, "0008191\n") {
		t.Errorf("%d bytes, %q … %q", len(got), got[:16], got[len(got)-16:])
	}
	if n, err := unix.Write(o.fd(0, 61), make([]byte, 10)); err != nil || n != 10 {
		t.Errorf("write into the emptied pipe: %d, %v", n, err)
	}
}

func TestPacketPipe(t *testing.T) {
	v := python(t, `
r, w = os.pipe2(os.O_DIRECT)
for p in b"one", b"second", b"3": os.write(w, p)
os.dup2(r, 60); os.dup2(w, 61)
hold()
`)
	o := v.saveAndOpen()
	for _, want := range []string{"one", "second", "3"} {
		if got := o.read(o.fd(0, 60), 100); got != want {
			t.Errorf("packet %q, want %q", got, want)
		}
	}
	if flagsOf(t, o.fd(0, 61))&unix.O_DIRECT == 0 {
		t.Error("the pipe is not in packet mode any more")
	}
}

// A pipe is full when all its buffers are in use, whatever is in them; and packets
// may stand between bytes that are none.
func TestPipeBuffers(t *testing.T) {
	v := python(t, `
r, w = os.pipe()
for i in range(8): os.write(w, b"%d" % i * 7231)
os.dup2(r, 60); os.dup2(w, 61)
r, w = os.pipe()
os.write(w, b"a" * 4096)
fcntl.fcntl(w, fcntl.F_SETFL, os.O_DIRECT); os.write(w, b"b"); os.write(w, b"cc")
fcntl.fcntl(w, fcntl.F_SETFL, 0); os.write(w, b"d"); os.write(w, b"e")
os.dup2(r, 62); os.dup2(w, 63)
hold()
`)
	im := v.save()
	o := reopenImage(t, im, OpenOptions{})
	if p := (unix.PollFd{Fd: int32(o.fd(0, 61)), Events: unix.POLLOUT}); poll(t, &p) != 0 {
		t.Errorf("a pipe whose 16 buffers are in use polls as writable, with %#x", p.Revents)
	}
	if got := o.read(o.fd(0, 60), 1<<20); len(got) != 8*7231 || got[7230:7232] != "01" {
		t.Errorf("it has %d bytes", len(got))
	}
	for _, want := range []string{strings.Repeat("a", 4096) + "b", "cc", "de"} {
		if got := o.read(o.fd(0, 62), 5000); got != want {
			t.Errorf("a read gives %d bytes, want %d", len(got), len(want))
		}
	}
}

func poll(t *testing.T, p *unix.PollFd) int16 {
	t.Helper()
	list := []unix.PollFd{*p}
	if _, err := unix.Poll(list, 0); err != nil {
		t.Fatal(err)
	}
	p.Revents = list[0].Revents
	return p.Revents
}

// A fifo that somebody else has open would get the tree's bytes, or keep them.
func TestFifoOfOthers(t *testing.T) {
	v := python(t, `
os.mkfifo('fifo')
f = os.open('fifo', os.O_RDWR); os.write(f, b"ours")
os.dup2(f, 60)
hold()
`)
	im := v.save()
	path := filepath.Join(v.cmd.Dir, "fifo")
	v.end()
	for _, c := range []struct {
		name, say string
		flags     int
		write     bool
	}{
		{"reads", "another process reads it", unix.O_RDONLY | unix.O_NONBLOCK, false},
		{"writes", "another process writes it", unix.O_WRONLY, false},
		{"has written", "has written into it", unix.O_WRONLY, true},
	} {
		// For somebody who writes, somebody must read at first.
		r, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		fd, err := unix.Open(path, c.flags|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if c.write {
			if _, err := unix.Write(fd, []byte("theirs")); err != nil {
				t.Fatal(err)
			}
		}
		unix.Close(r)
		if s, err := Open(im, OpenOptions{}); err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s: %v, want %q", c.name, err, c.say)
			if s != nil {
				s.Close()
			}
		}
		if n, _ := unix.IoctlGetInt(fd, unix.TIOCINQ); c.write && n != len("theirs") {
			t.Errorf("%d bytes are in it after that", n)
		}
		unix.Close(fd)
	}
	o := reopenImage(t, im, OpenOptions{})
	if got := o.read(o.fd(0, 60), 100); got != "ours" {
		t.Errorf("it has %q", got)
	}
}

// What nobody can read any more is still there: FIONREAD shows it, and an opener
// of /proc/PID/fd can have it.
func TestPipeWithoutReader(t *testing.T) {
	v := python(t, `
r, w = os.pipe(); os.write(w, b"unread"); os.close(r); os.dup2(w, 61)
hold()
`)
	o := v.saveAndOpen()
	if n, err := unix.IoctlGetInt(o.fd(0, 61), unix.TIOCINQ); n != 6 {
		t.Errorf("%d bytes are in it (%v)", n, err)
	}
	fd, err := reopen(o.fd(0, 61), unix.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if got := o.read(fd, 100); got != "unread" {
		t.Errorf("it has %q", got)
	}
}

func TestClosedEnds(t *testing.T) {
	v := python(t, `
r, w = os.pipe(); os.write(w, b"last words"); os.close(w); os.dup2(r, 60)
r, w = os.pipe(); os.close(r); os.dup2(w, 61)
hold()
`)
	o := v.saveAndOpen()
	if got := o.read(o.fd(0, 60), 100); got != "last words" {
		t.Errorf("read %q", got)
	}
	if got := o.read(o.fd(0, 60), 100); got != "" {
		t.Errorf("read %q, want the end", got)
	}
	if _, err := unix.Write(o.fd(0, 61), []byte("x")); !errors.Is(err, unix.EPIPE) {
		t.Errorf("write: %v, want EPIPE", err)
	}
}

func TestPipeBelongsToItsUser(t *testing.T) {
	v := python(t, `
os.setgroups([]); os.setgid(65533); os.setuid(65534)
libc.prctl(4, 1)  # PR_SET_DUMPABLE
r, w = os.pipe(); os.dup2(r, 60); os.dup2(w, 61)
os.dup2(os.open("/dev/fd/61", os.O_WRONLY), 62)  # a second description that writes
hold()
`)
	o := v.saveAndOpen()
	var st unix.Stat_t
	if err := unix.Fstat(o.fd(0, 60), &st); err != nil || st.Uid != 65534 || st.Gid != 65533 {
		t.Errorf("the pipe belongs to %d:%d (%v)", st.Uid, st.Gid, err)
	}
	if same(t, o.fd(0, 61), o.fd(0, 62)) {
		t.Error("two descriptions became one")
	}
	for _, fd := range []int32{61, 62} {
		if _, err := unix.Write(o.fd(0, fd), []byte("x")); err != nil {
			t.Error(err)
		}
	}
	if got := o.read(o.fd(0, 60), 10); got != "xx" {
		t.Errorf("read %q", got)
	}
}

func TestFifo(t *testing.T) {
	v := python(t, `
os.mkfifo("fifo")
both = os.open("fifo", os.O_RDWR); os.write(both, b"hello")
os.dup2(os.open("fifo", os.O_RDONLY), 60)
os.dup2(os.open("fifo", os.O_WRONLY), 61)
os.close(both)
os.mkfifo("idle")
os.dup2(os.open("idle", os.O_RDONLY|os.O_NONBLOCK), 62)   # nobody has written yet
os.mkfifo("pool"); os.dup2(os.open("pool", os.O_RDWR), 63); os.unlink("pool")
os.write(63, b"tokens")
hold()
`)
	o := v.saveAndOpen()
	if got := o.read(o.fd(0, 60), 100); got != "hello" {
		t.Errorf("read %q", got)
	}
	if link, _ := os.Readlink("/proc/self/fd/" + itoa(o.fd(0, 60))); link != filepath.Join(v.cmd.Dir, "fifo") {
		t.Errorf("the fifo is %q", link)
	}
	if _, err := unix.Write(o.fd(0, 61), []byte("again")); err != nil {
		t.Error(err)
	}
	if got := o.read(o.fd(0, 60), 100); got != "again" {
		t.Errorf("read %q", got)
	}
	p := []unix.PollFd{{Fd: int32(o.fd(0, 62)), Events: unix.POLLIN}}
	if n, err := unix.Poll(p, 0); n != 0 || err != nil {
		t.Errorf("the idle fifo polls as %#x (%v)", p[0].Revents, err)
	}
	if got := o.read(o.fd(0, 63), 100); got != "tokens" {
		t.Errorf("read %q", got)
	}
	if _, err := unix.Write(o.fd(0, 63), []byte("x")); err != nil {
		t.Error(err)
	}
}

func TestPipeThatOthersHave(t *testing.T) {
	v := python(t, `
r, w = os.pipe(); os.dup2(r, 60); os.dup2(w, 61); os.close(r); os.close(w)
pid = os.fork()
if pid == 0: time.sleep(20)
ready(); print(pid, flush=True); wait()
`)
	other := v.line()
	_, err := collect(t, v.freeze())
	if err == nil || !strings.Contains(err.Error(), "fd 60: a pipe:[") || !strings.Contains(err.Error(), "task "+other) {
		t.Errorf("error %v, want one that names the pipe and task %s", err, other)
	}
	var n int32
	for _, c := range other {
		n = n*10 + c - '0'
	}
	v.pids = append(v.pids, n)
	if _, err := collect(t, v.freeze()); err != nil {
		t.Errorf("the tree of both: %v", err)
	}
}
