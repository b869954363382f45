package cli

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestOneLine(t *testing.T) {
	for in, want := range map[string]string{
		"task 12 (bash): é—ü": "task 12 (bash): é—ü",
		"a\nb":                "a; b",
		"\x1b[2Jx\ty\r":       `\x1b[2Jx\x09y\x0d`,
		"bad \xff utf8":       `bad \xff utf8`,
		"\u202eabc":           `\u202eabc`,
		"\x7f":                `\x7f`,
		"non\u00a0breaking":   "non\u00a0breaking",
	} {
		if got := oneLine(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// terminal gives both ends of a pseudoterminal.
func terminal(t *testing.T) (master, slave *os.File) {
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
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	return master, slave
}

// Progress shows on a terminal after a second, and a message wipes it first.
func TestProgressOnTerminal(t *testing.T) {
	master, slave := terminal(t)
	if !IsTerminal(slave) {
		t.Fatal("a pseudoterminal is none")
	}
	log := NewLogger(slave, "demo")
	p := log.Progress("saved", 64<<20)
	p.Add(16 << 20)
	time.Sleep(1300 * time.Millisecond)
	log.Warnf("hello")
	p.Done()
	p.Done()
	p.Add(1)
	var got string
	for b := make([]byte, 4096); !strings.Contains(got, "hello\r\n"); {
		n, err := master.Read(b)
		if err != nil {
			t.Fatalf("%v after %q", err, got)
		}
		got += string(b[:n])
	}
	if !strings.HasPrefix(got, "\r\x1b[Kdemo: saved 16 MiB of 64 MiB, ") || !strings.Contains(got, " MiB/s, ") || !strings.Contains(got, "s left") {
		t.Errorf("%q", got)
	}
	if !strings.Contains(got, "\r\x1b[Kdemo: hello\r\n") {
		t.Errorf("the message does not stand alone: %q", got)
	}
}

func TestProgressNotOnPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	log := NewLogger(w, "demo")
	p := log.Progress("saved", 0)
	p.Add(1)
	time.Sleep(1100 * time.Millisecond)
	p.Done()
	w.Close()
	b := make([]byte, 10)
	if n, _ := r.Read(b); n != 0 {
		t.Errorf("%q", b[:n])
	}
}

func TestProgressText(t *testing.T) {
	p := &Progress{what: "saved", total: 4 << 30, start: time.Now().Add(-10 * time.Second)}
	p.done.Store(1 << 30)
	if got, want := p.text(), "saved 1.00 GiB of 4.00 GiB, 102 MiB/s, 30s left"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	p.total = 0
	if got, want := p.text(), "saved 1.00 GiB, 102 MiB/s"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
