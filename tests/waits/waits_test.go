// Package waits tests that a checkpoint and a restore change nothing about how long
// a program waits, nor about signals and timers that are on their way to it.
package waits

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"floe/tests/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// late is how much later than asked a thread may go on, on a busy machine.
const late = 700 * time.Millisecond

// dead is how long a process was not there: between the least and the most.
type dead struct{ least, most time.Duration }

// interrupt checkpoints and restores a victim. A stopped one comes back stopped.
func (d *dead) interrupt(t *testing.T, v *harness.Running) {
	t.Helper()
	image := filepath.Join(v.Dir, "image")
	from := time.Now()
	v.Checkpoint(t, image, "")
	gone := time.Now()
	time.Sleep(300 * time.Millisecond)
	to := time.Now()
	v.Restore(t, image, "")
	d.least += to.Sub(gone)
	d.most += time.Since(from)
}

func launch(t *testing.T, args ...string) *harness.Running {
	return harness.Launch(t, &harness.Victim{Name: "waits", Args: append([]string{"./waits"}, args...), Prepare: harness.CompiledC("waits")}, nil)
}

// TestWaits: a relative wait goes on with what was left of it, an absolute one keeps
// its deadline, also when it has been thawed or restored before.
func TestWaits(t *testing.T) {
	for _, rounds := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d rounds", rounds), func(t *testing.T) {
			t.Parallel()
			const length = 12 * time.Second
			v := launch(t, "all", fmt.Sprint(length.Seconds()))
			var d dead
			for range rounds {
				time.Sleep(2 * time.Second)
				frozen := time.Now()
				harness.Bash(t, fmt.Sprintf("freeze %d | %s > %s", v.PID, harness.Stages, filepath.Join(v.Dir, "thawed")))
				d.most += time.Since(frozen) // select(2) and ppoll(2) go on with what was left when they were stopped
				time.Sleep(200 * time.Millisecond)
				d.interrupt(t, v)
			}
			if e := v.End(t); e.Code() != 0 {
				t.Errorf("%s", e)
			}
			out := v.Outcome(t)
			seen := 0
			for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
				name, rest, _ := strings.Cut(line, ": ")
				var ret, ms int
				if n, _ := fmt.Sscanf(rest, "returned %d ms %d", &ret, &ms); n != 2 {
					continue
				}
				seen++
				got := time.Duration(ms) * time.Millisecond
				least, most := length+d.least, length+d.most+late
				if strings.HasSuffix(name, " until") {
					least, most = length, length+late
				}
				if ret != 0 || got < least-time.Millisecond || got > most {
					t.Errorf("%s: took %s; want %s to %s", line, got, least, most)
				}
			}
			if seen != 15 || !strings.HasSuffix(out, "wrong 0\n") {
				t.Errorf("it said:\n%s", out)
			}
		})
	}
}

// TestSignal: a signal that interrupts a sleep after a restore finds the time that
// is left by then written to where the sleep wants it.
func TestSignal(t *testing.T) {
	for name, pending := range map[string]bool{"afterwards": false, "pending": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const length = 20 * time.Second
			v := launch(t, "signal", fmt.Sprint(length.Seconds()))
			time.Sleep(3 * time.Second)
			var d dead
			if pending {
				kill(t, v.PID, syscall.SIGSTOP)
				if _, err := syscall.Wait4(v.PID, nil, syscall.WUNTRACED, nil); err != nil { // it stands still
					t.Fatal(err)
				}
				kill(t, v.PID, syscall.SIGUSR1)
				image := filepath.Join(v.Dir, "image")
				v.Checkpoint(t, image, "")
				if p := v.BeginRestore(t, image); p.Wait(t).Code() != 0 { // it comes back stopped
					t.Fatalf("restore: %s", p.Stderr)
				}
				if err := syscall.Kill(v.PID, syscall.SIGCONT); err != nil {
					t.Fatalf("%v: it has ended: %s", err, v.End(t))
				}
			} else {
				d.interrupt(t, v)
				time.Sleep(2 * time.Second)
				kill(t, v.PID, syscall.SIGUSR1)
			}
			for until := time.Now().Add(length); !strings.Contains(v.Outcome(t), "returned") && time.Now().Before(until); {
				time.Sleep(10 * time.Millisecond)
			}
			_, line, _ := strings.Cut(strings.TrimSpace(v.Outcome(t)), "\n")
			var ret, handled, wrong, ms, rem int
			if n, err := fmt.Sscanf(line, "returned %d handled %d wrong %d ms %d rem %d", &ret, &handled, &wrong, &ms, &rem); n != 5 {
				t.Fatalf("it said %q: %v", line, err)
			}
			// What it slept, less what it was dead, and what is left make up the whole.
			whole := time.Duration(ms+rem) * time.Millisecond
			if least, most := length+d.least, length+d.most+late; whole < least-2*time.Millisecond || whole > most && !pending {
				t.Errorf("%s: %s in all; want %s to %s", line, whole, least, most)
			}
			if ret != -int(syscall.EINTR) || handled != int(syscall.SIGUSR1) || wrong != 0 {
				t.Errorf("it said %q", line)
			}
		})
	}
}

func kill(t *testing.T, pid int, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, sig); err != nil {
		t.Fatal(err)
	}
}

// TestUndo: a process that has used SEM_UNDO is refused by name.
func TestUndo(t *testing.T) {
	const code = `$s = semget(0, 1, 0600); semop($s, pack("s!3", 0, 1, 0x1000)) or die; $| = 1; print "$s\n"; sleep 1000`
	v := harness.Launch(t, &harness.Victim{Name: "undo", Args: []string{"perl", "-e", code}}, nil)
	var id uintptr
	if n, err := fmt.Sscan(v.Outcome(t), &id); n != 1 {
		t.Fatal(err)
	}
	const remove = 0 // IPC_RMID
	defer syscall.Syscall(syscall.SYS_SEMCTL, id, 0, remove)
	p := harness.Start(t, nil, nil, "bash", "-c", fmt.Sprintf("freeze --then kill %d | %s > %s", v.PID, harness.Stages, filepath.Join(v.Dir, "image")))
	if e := p.Wait(t); e.Code() == 0 || !strings.Contains(p.Stderr.String(), "SEM_UNDO") || !harness.Exists(v.PID) {
		t.Errorf("%s: %s", e, p.Stderr)
	}
}

// TestMaker: a task that gets a signal at the end of another thread than its parent's
// first is refused by name, and one that gets it at the end of the first is not.
func TestMaker(t *testing.T) {
	const code = `
import ctypes, os, sys, threading, time
def make():
    if os.fork() == 0:
        ctypes.CDLL(None).prctl(1, 15)
        print('begin', flush=True)
    time.sleep(1000)
make() if sys.argv[1] == 'first' else threading.Thread(target=make).start()
time.sleep(1000)
`
	for who, refused := range map[string]bool{"first": false, "second": true} {
		v := harness.Launch(t, &harness.Victim{Name: "maker", Args: []string{"python3", "-c", code, who}}, nil)
		p := harness.Start(t, nil, nil, "bash", "-c", fmt.Sprintf("freeze %d | %s > %s", v.PID, harness.Stages, filepath.Join(v.Dir, "image")))
		if e := p.Wait(t); (e.Code() != 0) != refused || refused != strings.Contains(p.Stderr.String(), "PR_SET_PDEATHSIG") {
			t.Errorf("%s: %s: %s", who, e, p.Stderr)
		}
	}
}
