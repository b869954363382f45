package lease

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"floe/lib/record"
)

func TestJoinOver(t *testing.T) {
	s := newServer(t)
	l := own(t, s)
	l.StartTime++
	if _, err := Join(l, "x"); !errors.Is(err, ErrOver) {
		t.Errorf("another process has freeze's pid: %v", err)
	}
	p := startStage(t, s, "x") // any process
	gone := &record.Lease{Pid: int32(p.cmd.Process.Pid), StartTime: 1, Fd: 3}
	p.end()
	if _, err := Join(gone, "x"); !errors.Is(err, ErrOver) {
		t.Errorf("freeze has ended: %v", err)
	}
	for _, l := range []*record.Lease{nil, {}, {Pid: -1}, {Pid: 1, Fd: -1}} {
		if _, err := Join(l, "x"); err == nil || errors.Is(err, ErrOver) {
			t.Errorf("%v: %v", l, err)
		}
	}
}

func TestClientSeesTheEnd(t *testing.T) {
	s, err := NewServer()
	if err != nil {
		t.Fatal(err)
	}
	c, err := Join(own(t, s), "x")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.Over() {
		t.Error("over before its end")
	}
	s.Close()
	if !c.Over() {
		t.Error("not over after its end")
	}
	if err := c.Verdict(Done, ""); !errors.Is(err, ErrOver) {
		t.Errorf("verdict after the end: %v", err)
	}
}

// A stream may name any descriptor of any process: nothing is written to one
// that is no lease.
func TestJoinForeignDescriptor(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	stream, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t)
	for name, fd := range map[string]int{"pipe": int(w.Fd()), "file": int(file.Fd()), "stream socket": stream[0], "tcp": tcp} {
		l := own(t, s)
		l.Fd = int32(fd)
		if _, err := Join(l, "x"); err == nil || !strings.Contains(err.Error(), "is no lease") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if st, _ := file.Stat(); st.Size() != 0 {
		t.Error("the file was written to")
	}
	p := []unix.PollFd{{Fd: int32(r.Fd()), Events: unix.POLLIN}, {Fd: int32(stream[1]), Events: unix.POLLIN}}
	if n, _ := unix.Poll(p, 0); n != 0 {
		t.Error("something was written")
	}
	l := own(t, s)
	l.Fd = 1 << 20
	if _, err := Join(l, "x"); err == nil || !strings.Contains(err.Error(), "bad file descriptor") {
		t.Errorf("no descriptor: %v", err)
	}
}

// A lease of another process is refused even when it is a packet socket, if
// that process did not make it.
func TestJoinInheritedSocket(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET, 0)
	if err != nil {
		t.Fatal(err)
	}
	p, err := os.StartProcess("/bin/sleep", []string{"sleep", "60"}, &os.ProcAttr{Files: []*os.File{nil, nil, nil, os.NewFile(uintptr(pair[0]), "")}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Kill(); _, _ = p.Wait() }()
	time.Sleep(50 * time.Millisecond) // for exec
	start, err := StartTime(p.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Join(&record.Lease{Pid: int32(p.Pid), StartTime: start, Fd: 3}, "x"); err == nil || !strings.Contains(err.Error(), "is no lease") {
		t.Errorf("%v", err)
	}
}

func TestMessage(t *testing.T) {
	long := strings.Repeat("é", maxText)
	for _, m := range []Message{{Hello, 7, "vmadump", Wrote{}, ""}, {Failed, 1 << 63, "x", Wrote{}, "why"}, {Done, 0, strings.Repeat("n", 40), Wrote{1 << 40, 7, 1<<32 - 1}, long}} {
		got, ok := unmarshal(m.marshal())
		m.Stage = m.Stage[:min(len(m.Stage), nameLen)]
		if m.Text == long {
			if !strings.HasSuffix(got.Text, "é…") || len(got.Text) > maxText {
				t.Errorf("cut to %d bytes: …%q", len(got.Text), got.Text[len(got.Text)-8:])
			}
			m.Text = got.Text
		}
		if !ok || got != m {
			t.Errorf("%+v: %+v, %v", m, got, ok)
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	f.Add(Message{Failed, 1, "x", Wrote{}, "why"}.marshal())
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, ok := unmarshal(b); ok {
			if again, ok := unmarshal(m.marshal()); !ok || again.Kind != m.Kind || again.StartTime != m.StartTime {
				t.Errorf("%+v, %+v", m, again)
			}
		}
	})
}
