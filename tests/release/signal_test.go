package release

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"floe/tests/harness"
)

// rounds is how often TestInterrupted interrupts a restore.
const rounds = 300

var ending = []unix.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT}

// kill sends a signal to the command, if it is still there.
func (g *guarded) kill(t *testing.T, sig unix.Signal) {
	t.Helper()
	fd, err := unix.PidfdOpen(g.pid, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	// The guardian waits for it: its parent tells whether the id is its own.
	if s, ok := harness.ReadStat(g.pid); ok && s.Parent == g.Cmd.Process.Pid {
		_ = unix.PidfdSendSignal(fd, sig, nil, 0)
	}
}

// nothing makes sure that a command that a signal has ended says so, and that
// nothing is left of the tree, no zombie either.
func (g *guarded) nothing(t *testing.T, sig unix.Signal, tree []int) {
	t.Helper()
	e := g.Wait(t)
	if want := fmt.Sprintf("restore: interrupted by signal: %s\n", sig); e.Code() != 1 || g.Stderr.String() != want {
		t.Errorf("%s, %q; want status 1, %q", e, g.Stderr, want)
	}
	if g.out.Len() > 0 {
		t.Errorf("restore has ended and left\n%s", g.out)
	}
	for _, pid := range tree {
		if s, ok := harness.ReadStat(pid); ok {
			t.Errorf("process %d is there: %+v", pid, s)
		}
	}
}

// saved is a victim that has been checkpointed and killed.
type saved struct {
	*harness.Running
	image  string
	size   int64
	tree   []int
	before []string
}

func save(t *testing.T) *saved {
	t.Helper()
	v := harness.Launch(t, harness.Steady, nil)
	time.Sleep(50 * time.Millisecond)
	s := &saved{Running: v, image: filepath.Join(v.Dir, "image"), tree: harness.Tree(v.PID), before: harness.Pictures(v.PID)}
	v.Checkpoint(t, s.image, "")
	st, err := os.Stat(s.image)
	if err != nil {
		t.Fatal(err)
	}
	s.size = st.Size()
	return s
}

// whole makes sure that the tree is there, but for those that have ended since,
// and ends it.
func (s *saved) whole(t *testing.T, ended ...int) {
	t.Helper()
	for _, pid := range s.tree {
		if st, ok := harness.ReadStat(pid); (!ok || st.Tracer != 0 || st.State == "t") && !slices.Contains(ended, pid) {
			t.Errorf("process %d: %+v", pid, st)
		}
	}
	if len(ended) == 0 {
		if d := difference(s.before, harness.Pictures(s.PID)); len(d) > 0 {
			t.Errorf("restored, it has\n%s", strings.Join(d, "\n"))
		}
	}
	for _, pid := range s.tree {
		if !slices.Contains(ended, pid) {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
	harness.WaitGone(t, s.tree)
}

// feed is a pipe that brings part of the image, and stalls when it is not closed.
func (s *saved) feed(t *testing.T, bytes int64) (r, w *os.File) {
	t.Helper()
	b, err := os.ReadFile(s.image)
	if err != nil {
		t.Fatal(err)
	}
	if r, w, err = os.Pipe(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	go func() { _, _ = w.Write(b[:bytes]) }()
	return r, w
}

// TestInterrupted: a signal at any moment leaves nothing or everything.
func TestInterrupted(t *testing.T) {
	s := save(t)
	begun := time.Now()
	if e := startGuarded(t, nil, "restore", "-d", s.image).Wait(t); e.Code() != 0 {
		t.Fatal(e)
	}
	took := time.Since(begun)
	s.whole(t)
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 0))
	none := 0
	for i := range rounds {
		sig, front, piped := ending[rnd.IntN(len(ending))], rnd.IntN(3) == 0, rnd.IntN(2) == 0
		moment := time.Duration(rnd.Int64N(int64(took)))
		name := fmt.Sprintf("%d %s after %s", i, unix.SignalName(sig), moment)
		if !t.Run(name, func(t *testing.T) {
			args := []string{"restore", "-d", s.image}
			var in *os.File
			if front {
				args = []string{"restore", s.image}
			}
			if piped {
				in, _ = s.feed(t, s.size)
				args = args[:len(args)-1]
			}
			g := startGuarded(t, in, args...)
			time.Sleep(moment)
			g.kill(t, sig)
			switch e := g.Wait(t); {
			case e.Code() == 1:
				none++
				g.nothing(t, sig, s.tree)
			case (e.Code() == 128+int(sig) || sig == unix.SIGQUIT && e.Code() == 2) && !harness.Exists(s.tree[1]):
				none++ // it came before restore could catch it: 2 is Go's status then
				if g.out.Len() > 0 {
					t.Errorf("left:\n%s", g.out)
				}
			case e.Code() == 128+int(sig) && front:
				s.whole(t, s.PID)
			case e.Code() == 0 && !front:
				s.whole(t)
			default:
				t.Errorf("%s %s", e, g.Stderr)
			}
		}) {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("%d of %d left nothing", none, rounds)
	if none == 0 || none == rounds {
		t.Errorf("the moments are badly chosen: %d of %d left nothing", none, rounds)
	}
}

// TestStalled: a pipe that brings no more holds no restore, wherever it stalls.
func TestStalled(t *testing.T) {
	s := save(t)
	for i, part := range []int64{0, 1, s.size / 4, s.size / 2, s.size * 3 / 4, s.size - 1} {
		for _, args := range [][]string{{"restore", "-d"}, {"restore"}, {"restore", "--check"}} {
			sig := ending[i%len(ending)]
			t.Run(fmt.Sprintf("%s/%d/%s", strings.Join(args, " "), part, unix.SignalName(sig)), func(t *testing.T) {
				in, _ := s.feed(t, part)
				g := startGuarded(t, in, args...)
				time.Sleep(150 * time.Millisecond)
				begun := time.Now()
				g.kill(t, sig)
				g.nothing(t, sig, s.tree)
				if took := time.Since(begun); took > 2*time.Second {
					t.Errorf("it took %s", took)
				}
			})
		}
	}
}

// TestNoWriter: an image that is a fifo without a writer.
func TestNoWriter(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	g := startGuarded(t, nil, "restore", fifo)
	time.Sleep(100 * time.Millisecond)
	g.kill(t, unix.SIGTERM)
	g.nothing(t, unix.SIGTERM, nil)
}

// TestZombieID: an id that a zombie has is waited for, and a signal ends that.
func TestZombieID(t *testing.T) {
	s := save(t)
	harness.CompiledC("crowd")(t, s.Dir)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	crowd := harness.Start(t, r, nil, filepath.Join(s.Dir, "crowd"), "zombie", fmt.Sprint(s.tree[1]), fmt.Sprint(s.tree[1]))
	for until := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		if st, ok := harness.ReadStat(s.tree[1]); ok && st.State == "Z" {
			break
		}
		if time.Now().After(until) {
			t.Fatal("no zombie")
		}
	}
	g := startGuarded(t, nil, "restore", "-d", s.image)
	time.Sleep(300 * time.Millisecond)
	begun := time.Now()
	g.kill(t, unix.SIGTERM)
	g.nothing(t, unix.SIGTERM, s.tree[:1])
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("it took %s", took)
	}
	w.Close()
	crowd.Wait(t)
}

// TestNohup: a signal that restore was started with as ignored is ignored.
func TestNohup(t *testing.T) {
	s := save(t)
	in, w := s.feed(t, s.size*3/4)
	g := startGuarded(t, in, "nohup", "restore", "-d")
	time.Sleep(200 * time.Millisecond)
	g.kill(t, unix.SIGHUP)
	time.Sleep(200 * time.Millisecond)
	b, err := os.ReadFile(s.image)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(b[s.size*3/4:]); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if e := g.Wait(t); e.Code() != 0 {
		t.Errorf("%s %s", e, g.Stderr)
	}
	s.whole(t)
}
