package fds

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// three are pipes that stand for restore's own stdin, stdout and stderr.
func three(t *testing.T) (stdio [3]int, far [3]*os.File) {
	t.Helper()
	for i := range 3 {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.Close(); w.Close() })
		if i == 0 {
			stdio[i], far[i] = int(r.Fd()), w
		} else {
			stdio[i], far[i] = int(w.Fd()), r
		}
	}
	return stdio, far
}

// waiting reads what is waiting in a pipe.
func waiting(t testing.TB, f *os.File) string {
	t.Helper()
	b := make([]byte, 100)
	n, err := f.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

func TestStdioIsTheCallers(t *testing.T) {
	v := python(t, `
os.dup2(1, 60)     # saved, as exec 60>&1
os.dup2(0, 61)
pid = os.fork()
if pid == 0: time.sleep(60)
ready(pid); wait()
`)
	im := v.save()
	v.end()
	stdio, far := three(t)
	o := reopenImage(t, im, OpenOptions{Stdio: &stdio})
	if _, err := unix.Write(o.fd(0, 1), []byte("out")); err != nil {
		t.Fatal(err)
	}
	if got := waiting(t, far[1]); got != "out" {
		t.Errorf("stdout got %q", got)
	}
	if _, err := unix.Write(o.fd(1, 60), []byte("saved")); err != nil {
		t.Fatal(err)
	}
	if got := waiting(t, far[1]); got != "saved" {
		t.Errorf("stdout got %q through fd 60", got)
	}
	if _, err := far[0].WriteString("in"); err != nil {
		t.Fatal(err)
	}
	if got := o.read(o.fd(0, 61), 10); got != "in" {
		t.Errorf("fd 61 read %q", got)
	}
}

func TestStdinIsTheImage(t *testing.T) {
	v := python(t, epollPrelude+`
at(70, sys_(291, 0)); add(70, 0, IN, 5)
hold()
`)
	im := v.save()
	v.end()
	o := reopenImage(t, im, OpenOptions{StdinIsImage: true})
	if got := o.read(o.fd(0, 0), 10); got != "" {
		t.Errorf("stdin gave %q, want the end", got)
	}
	if got := o.events(o.fd(0, 70)); got[5]&unix.EPOLLHUP == 0 {
		t.Errorf("an epoll on it: %v, want a hang-up", got)
	}
}

func TestStdioThatCantBePolled(t *testing.T) {
	v := python(t, epollPrelude+`
at(70, sys_(291, 0)); add(70, 0, IN, 5)
hold()
`)
	im := v.save()
	f, err := os.Open("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var warned bytes.Buffer
	reopenImage(t, im, OpenOptions{Stdio: &[3]int{int(f.Fd()), 1, 2}, Warnf: func(format string, _ ...any) { warned.WriteString(format) }})
	if !strings.Contains(warned.String(), "can't be polled") {
		t.Errorf("warned %q", warned.String())
	}
}

// openPTY makes a pseudo-terminal.
func openPTY(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile("/dev/pts/"+itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	return master, slave
}

// A terminal at 0, 1 and 2, one description: each comes from restore's own of
// the same number, and what the shell keeps elsewhere from its terminal.
func TestTerminal(t *testing.T) {
	_, slave := openPTY(t)
	cmd := exec.Command("/usr/bin/python3", "-c", prelude+`
tty = os.open(sys.argv[1], os.O_RDWR|os.O_NOCTTY)
out = os.dup(1)
for n in 0, 1, 2, 60: os.dup2(tty, n)
os.write(out, b"ready %d\n" % os.getpid())
os.close(out); os.close(tty)
time.sleep(60)
`, slave.Name())
	v := start(t, cmd)
	if _, err := v.out.ReadByte(); err != io.EOF {
		t.Fatal(err) // it has closed the pipe to the test when it is done
	}
	im := v.save()
	v.end()
	stdio, far := three(t)
	stdio[0] = int(slave.Fd())
	o := reopenImage(t, im, OpenOptions{Stdio: &stdio})
	if _, err := unix.IoctlGetTermios(o.fd(0, 0), unix.TCGETS); err != nil {
		t.Errorf("stdin: %v", err)
	}
	for _, n := range []int32{1, 2} {
		if _, err := unix.Write(o.fd(0, n), []byte("x")); err != nil {
			t.Error(err)
		}
		if got := waiting(t, far[n]); got != "x" {
			t.Errorf("fd %d: %q", n, got)
		}
	}
	// The saved ones share the number of stderr, which is no terminal here.
	for _, f := range im.Fds[1] {
		x := im.OpenFile(f.OpenId).GetExternal()
		if x == nil || !x.Tty || f.Fd <= 2 && x.Stdio != uint32(f.Fd) {
			t.Errorf("fd %d: %v", f.Fd, x)
		}
	}
}
