package lease

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"floe/lib/record"
	"floe/tests/harness"
)

// patience is the --timeout of these tests; a machine with much else to do may
// make no progress for a moment.
const patience = 3 * time.Second

// light is a victim of little size.
var light = &harness.Victim{Name: "light", Args: []string{"sh", "-c", "echo begin; cd /; exec sleep 1000 >/dev/null 2>&1"}}

// heavy is a victim of some MiB, more than a pipe holds.
var heavy = &harness.Victim{Name: "heavy", Args: []string{"/usr/bin/python3", "-c", `
import os, signal, sys
sys.stdin.close()
keep = os.urandom(4 << 20)
print("begin", flush=True)
signal.pause()`}}

// gate stands before a stage.
type gate func(to io.Writer, from io.Reader)

// gated starts a pipeline with a gate before one of the stages.
func gated(t *testing.T, then string, pid, before int, g gate, out *os.File) *line {
	t.Helper()
	l := &line{}
	var in *os.File
	for i, name := range stages {
		args := []string{"--timeout", patience.String(), "--then", then, fmt.Sprint(pid)}
		if i > 0 {
			args = nil
		}
		if i == before {
			in = through(t, in, g)
		}
		stdout, next := out, (*os.File)(nil)
		if i < len(stages)-1 {
			var err error
			if next, stdout, err = os.Pipe(); err != nil {
				t.Fatal(err)
			}
		}
		var stdin io.Reader
		if in != nil {
			stdin = in
		}
		l.procs = append(l.procs, harness.Start(t, stdin, stdout, name, args...))
		if in != nil {
			in.Close()
		}
		if next != nil {
			stdout.Close()
		}
		in = next
	}
	return l
}

// through is what comes out of a gate. It goes when the stage behind it has gone.
func through(t *testing.T, from *os.File, g gate) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		g(w, from)
		// Until one side has gone: it stands for a program of the pipeline.
		p := []unix.PollFd{{Fd: int32(from.Fd())}, {Fd: int32(w.Fd())}}
		for p[0].Revents == 0 && p[1].Revents == 0 {
			_, _ = unix.Poll(p, -1)
		}
		from.Close()
		w.Close()
	}()
	return r
}

// header is the beginning of a stream, by which a stage joins.
func header(from io.Reader) []byte {
	var b bytes.Buffer
	if r, err := record.NewReader(io.TeeReader(from, &b)); err == nil {
		_, _ = r.Next()
	}
	return b.Bytes()
}

// goesOn waits until a tree is in nobody's hands, and says when.
func goesOn(t *testing.T, pid int) time.Duration {
	t.Helper()
	begun := time.Now()
	for time.Since(begun) < harness.Limit/2 {
		if len(harness.Trapped(pid)) == 0 {
			return time.Since(begun)
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("still frozen after %s:\n%s", time.Since(begun), strings.Join(harness.Trapped(pid), "\n"))
	return 0
}

// frozen waits until a tree is frozen.
func frozen(t *testing.T, pid int) {
	t.Helper()
	for range 2000 {
		if len(harness.Trapped(pid)) > 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("it is never frozen")
}

// says matches what freeze says.
func says(t *testing.T, l *line, want string) {
	t.Helper()
	e := l.procs[0].Wait(t)
	if got := l.procs[0].Stderr.String(); e.Code() != 1 || !regexp.MustCompile(want).MatchString(got) || strings.Count(got, "\n") != 1 {
		t.Errorf("freeze: %s: %swant %s", e, got, want)
	}
}

// notWhole makes sure that what was written is no image.
func notWhole(t *testing.T, image string) {
	t.Helper()
	if e := harness.Start(t, nil, nil, "imgcat", "--verify", "-q", image).Wait(t); e.Code() != 3 {
		t.Errorf("%s: imgcat: %s", image, e)
	}
}

// TestStopped stops each stage once it has joined, and has still all to do.
func TestStopped(t *testing.T) {
	v := harness.Launch(t, light, nil)
	for i, name := range stages[1:] {
		for _, then := range []string{"thaw", "kill"} {
			t.Run(name+" "+then, func(t *testing.T) {
				stop, stopped := make(chan int), make(chan bool)
				g := func(to io.Writer, from io.Reader) {
					_, _ = to.Write(header(from))
					_ = unix.Kill(<-stop, unix.SIGSTOP)
					close(stopped)
					_, _ = io.Copy(to, from)
				}
				image := filepath.Join(t.TempDir(), "image")
				out := create(t, image)
				defer out.Close()
				l := gated(t, then, v.PID, i+1, g, out)
				p := l.procs[i+1]
				time.Sleep(300 * time.Millisecond) // it joins
				stop <- p.Cmd.Process.Pid
				<-stopped
				took := goesOn(t, v.PID)
				says(t, l, fmt.Sprintf(`%s \(task %d\) is stopped: nothing has moved for %s; task %d runs on`, name, p.Cmd.Process.Pid, patience, v.PID))
				if took < patience/2 {
					t.Errorf("it went on after %s: %s is not what it waited for", took, patience)
				}
				_ = unix.Kill(p.Cmd.Process.Pid, unix.SIGCONT)
				if report, ok := l.wait(t); ok || p.Wait(t).Code() == 0 {
					t.Errorf("it goes on as if nothing had been:\n%s", report)
				}
				notWhole(t, image)
			})
		}
	}
}

// TestStoppedTracer stops freeze itself: the kernel wakes it up.
func TestStoppedTracer(t *testing.T) {
	v := harness.Launch(t, heavy, nil)
	for _, s := range []unix.Signal{unix.SIGSTOP, unix.SIGTSTP} {
		for _, all := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s all %t", s, all), func(t *testing.T) {
				r, w, err := os.Pipe() // that nobody reads
				if err != nil {
					t.Fatal(err)
				}
				defer r.Close()
				l := gated(t, "kill", v.PID, -1, nil, w)
				w.Close()
				frozen(t, v.PID)
				time.Sleep(300 * time.Millisecond)
				for i, p := range l.procs {
					if i == 0 || all {
						_ = p.Cmd.Process.Signal(s)
					}
				}
				if took := goesOn(t, v.PID); took > 5*patience {
					t.Errorf("it went on after %s", took)
				}
				want := `pagedump \(task \d+\) is stuck: nobody has read what it writes`
				if all {
					// What it has said last may still count when it is looked at.
					want = `(pagedump|fddump|vdsoprobe) \(task \d+\) is (stopped: nothing has moved|stuck: nobody has read)`
				}
				says(t, l, want)
				for _, p := range l.procs {
					_ = p.Cmd.Process.Signal(unix.SIGCONT)
				}
				r.Close()
				l.wait(t)
			})
		}
	}
}

// TestUnread lets nobody read the image.
func TestUnread(t *testing.T) {
	small := harness.Launch(t, light, nil)
	big := harness.Launch(t, heavy, nil)
	fifo := filepath.Join(harness.Scratch, "fifo")
	const stuck = `pagedump \(task \d+\) is stuck: nobody has read what it writes for 3s; task \d+ runs on`
	const nobody = `(no stage has worked for 3s since fddump \(task \d+\) was done|fddump \(task \d+\) is stuck: nobody has read what it writes for 3s); task \d+ runs on`
	for _, test := range []struct {
		name, line, want string
		victims          []*harness.Running
	}{
		{"sleep", `freeze --then kill --timeout 3s PID | vmadump | vdsoprobe | fddump | pagedump | sleep 8`, stuck, []*harness.Running{big}},
		{"thaw", `freeze --timeout 3s PID | vmadump | vdsoprobe | fddump | pagedump | sleep 8`, stuck, []*harness.Running{big}},
		{"command", `freeze --then kill --timeout 3s PID -- sh -c 'vmadump | vdsoprobe | fddump | pagedump | sleep 8'`, stuck, []*harness.Running{small}},
		{"command thaw", `freeze --timeout 3s PID -- sh -c 'vmadump | vdsoprobe | fddump | pagedump | sleep 8'`, stuck, []*harness.Running{big}},
		{"fifo", `freeze --timeout 3s PID | vmadump | vdsoprobe | fddump | pagedump >FIFO & sleep 8 <FIFO; wait`, stuck, []*harness.Running{big}},
		{"fifo that nobody opens", `freeze --timeout 3s PID | vmadump | vdsoprobe | fddump | pagedump >FIFO & sleep 8; : <FIFO; wait`, nobody, []*harness.Running{small}},
		{"stopped cat", `freeze --timeout 3s PID | vmadump | sh -c 'echo $$ >STOPPED; kill -STOP $$; exec cat' | vdsoprobe | fddump | pagedump >/dev/null & sleep 8; kill -CONT $(<STOPPED); wait`, `no stage has worked for 3s since vmadump`, []*harness.Running{small}},
	} {
		for _, v := range test.victims {
			t.Run(test.name+" "+v.Name, func(t *testing.T) {
				_ = os.Remove(fifo)
				if err := unix.Mkfifo(fifo, 0o600); err != nil {
					t.Fatal(err)
				}
				script := strings.NewReplacer("PID", fmt.Sprint(v.PID), "FIFO", fifo, "STOPPED", filepath.Join(t.TempDir(), "pid")).Replace(test.line)
				p := harness.Start(t, nil, nil, "bash", "-c", script)
				frozen(t, v.PID)
				if took := goesOn(t, v.PID); took > 7*time.Second {
					t.Errorf("it went on after %s", took)
				}
				p.Wait(t)
				if !regexp.MustCompile("freeze: " + test.want).MatchString(p.Stderr.String()) {
					t.Errorf("%s\nwant %s", p.Stderr, test.want)
				}
			})
		}
	}
}

// TestSlow has the image read slowly, or a part of the stream: what goes on
// keeps the lease, for several times --timeout.
func TestSlow(t *testing.T) {
	v := harness.Launch(t, heavy, nil)
	t.Run("pipe", func(t *testing.T) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		slowly(t, v.PID, r, w, 4<<20/(2*patience.Milliseconds()))
	})
	t.Run("socket", func(t *testing.T) {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		slowly(t, v.PID, os.NewFile(uintptr(pair[0]), "r"), os.NewFile(uintptr(pair[1]), "w"), 4<<20/(2*patience.Milliseconds()))
	})
	t.Run("between", func(t *testing.T) {
		image := filepath.Join(t.TempDir(), "image")
		out := create(t, image)
		defer out.Close()
		var sent int
		begun := time.Now()
		l := gated(t, "thaw", v.PID, 2, func(to io.Writer, from io.Reader) {
			b := make([]byte, 16)
			for time.Since(begun) < 2*patience+time.Second {
				n, err := from.Read(b)
				_, _ = to.Write(b[:n])
				if sent += n; err != nil {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
			_, _ = io.Copy(to, from)
		}, out)
		if report, ok := l.wait(t); !ok || time.Since(begun) < 2*patience {
			t.Errorf("after %s and %d bytes:\n%s", time.Since(begun), sent, report)
		}
	})
}

// slowly reads an image at a rate, bytes in a millisecond.
func slowly(t *testing.T, pid int, r, w *os.File, rate int64) {
	t.Helper()
	defer r.Close()
	l := gated(t, "thaw", pid, -1, nil, w)
	w.Close()
	begun := time.Now()
	var all int64
	for b := make([]byte, rate*10); ; {
		n, err := r.Read(b)
		if all += int64(n); err != nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if report, ok := l.wait(t); !ok || all < 4<<20 || time.Since(begun) < 2*patience {
		t.Errorf("%d bytes in %s:\n%s", all, time.Since(begun), report)
	}
}

// TestLongRecord has a stage wait for more than ever comes: the length of a
// record was damaged.
func TestLongRecord(t *testing.T) {
	v := harness.Launch(t, light, nil)
	out := create(t, filepath.Join(t.TempDir(), "image"))
	defer out.Close()
	l := gated(t, "kill", v.PID, 1, func(to io.Writer, from io.Reader) {
		h := header(from)
		_, _ = to.Write(h)
		b := make([]byte, 4) // a length, and what comes first in a record
		_, _ = io.ReadFull(from, b)
		_, _ = to.Write(slices.Concat([]byte{0xff, 0xff, 0x7f}, b))
		_, _ = io.Copy(to, from)
	}, out)
	time.Sleep(100 * time.Millisecond)
	goesOn(t, v.PID)
	says(t, l, `vmadump \(task \d+\) has waited for the rest of its input for 3s; task \d+ runs on`)
	l.wait(t)
}
