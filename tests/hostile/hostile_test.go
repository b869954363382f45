// Package hostile gives restore images whose checksums are right and whose
// records are not: each has one to three values changed. Whatever they say,
// restore must end soon, with little memory, as its manual says; when it
// refuses, nothing of the tree is left; and nobody outside of the tree comes to
// harm.
package hostile

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"floe/lib/cli"
	"floe/lib/record"
	"floe/tests/harness"
)

var (
	images = flag.Int("images", 150, "how many images to make")
	first  = flag.Uint64("seed", 0, "of the first image; 0: another one each time")
)

func TestMain(m *testing.M) { harness.Main(m) }

// victim has something of most kinds in it.
const victim = `
import os, time, signal, threading, socket, mmap, select, fcntl, ctypes, sys
libc = ctypes.CDLL(None)
libc.prctl(36, 1)
r, w = os.pipe(); os.write(w, b'x' * 5000)
os.mkfifo('fifo'); f = os.open('fifo', os.O_RDWR | os.O_NONBLOCK); os.write(f, b'y' * 100)
shared = mmap.mmap(-1, 65536); shared.write(b'z' * 65536)
lock = os.open('locked', os.O_RDWR | os.O_CREAT); fcntl.lockf(lock, fcntl.LOCK_EX)
e = select.epoll(); e.register(r, select.EPOLLIN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGRTMIN])
os.kill(os.getpid(), signal.SIGUSR1)
signal.setitimer(signal.ITIMER_REAL, 5000)
null = os.open('/dev/null', os.O_RDWR)
dead = os.fork()
if dead == 0: os._exit(7)
kid = os.fork()
if kid == 0:
    os.setsid()
    for n in (0, 1, 2): os.dup2(null, n)
    time.sleep(1000)
stopped = os.fork()
if stopped == 0:
    os.setpgid(0, 0)
    for n in (0, 1, 2): os.dup2(null, n)
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(1000)
threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
os.waitid(os.P_PID, dead, os.WEXITED | os.WNOWAIT)
os.waitid(os.P_PID, stopped, os.WSTOPPED | os.WNOWAIT)
print('begin', flush=True)
for n in (0, 1, 2): os.dup2(null, n)
time.sleep(1000)
`

// limit is how long restore may take, hung or not.
const limit = 20 * time.Second

func TestMutatedImages(t *testing.T) {
	v := harness.Launch(t, &harness.Victim{Name: "victim", Args: []string{"python3", "-c", victim}}, nil)
	path := filepath.Join(harness.Scratch, "image")
	v.Checkpoint(t, path, "")
	image, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	bystander := startBystander(t)
	seed := *first
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("%d images from -seed %d", *images, seed)
	count := map[int]int{}
	for n := range uint64(*images) {
		m := &trial{seed: seed + n, path: path, bystander: bystander}
		m.make(t, image)
		count[m.run(t)]++
		m.unharmed(t)
		if t.Failed() {
			t.Fatalf("-images 1 -seed %d: %s", m.seed, strings.Join(m.changed, ", "))
		}
	}
	t.Logf("by exit status: %v", count)
}

// trial is one image.
type trial struct {
	seed      uint64
	path      string
	size      int // of the image, bytes
	bystander int // pid
	changed   []string
}

// make writes the image with its changes.
func (m *trial) make(t *testing.T, image []byte) {
	t.Helper()
	r := rand.New(rand.NewPCG(m.seed, 9))
	total := 0
	harness.Rewritten(t, image, func(rec *record.Record) bool { total += kinds(rec); return true })
	at := map[int]bool{}
	for range 1 + r.IntN(3) {
		at[r.IntN(total)] = true
	}
	n := 0
	b := harness.Rewritten(t, image, func(rec *record.Record) bool {
		if kinds(rec) == 0 {
			return true
		}
		n++
		if !at[n-1] {
			return true
		}
		if r.IntN(12) == 0 {
			m.changed = append(m.changed, fmt.Sprintf("without %.30T", rec.Body))
			return false
		}
		m.changed = append(m.changed, fmt.Sprintf("%T%s", rec.Body, mutate(r, rec)))
		return true
	})
	m.size = len(b)
	if err := os.WriteFile(m.path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// kinds is 1 for records that are worth a change: the writer makes the others.
func kinds(rec *record.Record) int {
	switch rec.Body.(type) {
	case *record.Record_EndStage, *record.Record_Index, *record.Record_End:
		return 0
	}
	return 1
}

// run restores the image, and returns restore's status.
func (m *trial) run(t *testing.T) int {
	t.Helper()
	p := harness.StartMeasured(t, nil, nil, "restore", "-d", "--force-files", m.path)
	timer := time.AfterFunc(limit, func() {
		t.Errorf("restore has not ended in %s", limit)
		p.Kill()
	})
	e := p.Wait(t)
	timer.Stop()
	said := strings.TrimSuffix(p.Stderr.String(), "\n")
	most := harness.MemoryLimit + 10*m.size>>10
	if kib := p.Memory(t); kib > most {
		t.Errorf("restore needed %d KiB; limit is %d: %s", kib, most, said)
	}
	switch e.Code() {
	case 0:
		m.end(t)
	case cli.StatusFailed, cli.StatusBadInput:
		if strings.Contains(said, "goroutine") || !strings.HasPrefix(said, "restore: ") {
			t.Errorf("restore says: %s", said)
		}
		m.nothingLeft(t, said)
	default:
		t.Errorf("restore: %s: %s", e, said)
	}
	return e.Code()
}

// left lists the processes that a restore has left; bystander is none of them.
func (m *trial) left() []int {
	var list []int
	for _, pid := range harness.Tree(os.Getpid())[1:] {
		if s, ok := harness.ReadStat(pid); ok && pid != m.bystander && s.State != "Z" {
			list = append(list, pid)
		}
	}
	return list
}

// end kills a tree that was restored: its pids may be others than before.
func (m *trial) end(t *testing.T) {
	t.Helper()
	for until := time.Now().Add(limit); ; time.Sleep(time.Millisecond) {
		list := m.left()
		if len(list) == 0 {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("processes %v can't be killed", list)
		}
		for _, pid := range list {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}

// nothingLeft makes sure that a restore that has failed left no process.
func (m *trial) nothingLeft(t *testing.T, said string) {
	t.Helper()
	if list := m.left(); len(list) > 0 {
		t.Errorf("restore has left processes %v when it said %q", list, said)
		m.end(t)
	}
}

// startBystander starts a process that has nothing to do with the tree.
func startBystander(t *testing.T) int {
	t.Helper()
	p := harness.Start(t, nil, nil, "sleep", "1000")
	t.Cleanup(func() { p.Kill(); p.Wait(t) })
	return p.Cmd.Process.Pid
}

// unharmed makes sure that nothing has happened to the bystander.
func (m *trial) unharmed(t *testing.T) {
	t.Helper()
	if s, ok := harness.ReadStat(m.bystander); !ok || s.State != "S" {
		t.Errorf("the state of a process that has nothing to do with it is %q", s.State)
	}
}
