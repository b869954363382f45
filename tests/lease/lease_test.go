// Package lease harms the pipeline in every way at random moments, and sees
// that the checkpointed tree never suffers.
package lease

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"floe/tests/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// rounds is how often each of the two tests does harm.
const rounds = 200

var stages = []string{"freeze", "vmadump", "vdsoprobe", "fddump", "pagedump"}

// line is a pipeline at work.
type line struct {
	procs []*harness.Proc
}

// start starts the pipeline, thread by thread of it a process of this test.
func start(t *testing.T, then string, pid int, out *os.File) *line {
	t.Helper()
	l := &line{}
	var in *os.File
	for i, name := range stages {
		var args []string
		if i == 0 {
			args = []string{"--then", then, fmt.Sprint(pid)}
		}
		stdout := out
		var next *os.File
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
		if i < len(stages)-1 {
			stdout.Close()
		}
		in = next
	}
	return l
}

// wait waits for all stages, which must end by themselves, and says how.
func (l *line) wait(t *testing.T) (report string, ok bool) {
	t.Helper()
	var b strings.Builder
	ok = true
	for i, p := range l.procs {
		e := p.Wait(t)
		ok = ok && e.Code() == 0
		fmt.Fprintf(&b, "%s: %s %s\n", stages[i], e, strings.TrimSpace(p.Stderr.String()))
	}
	return b.String(), ok
}

// harm is one way of doing harm. It returns where the image goes, and what to
// do once the pipeline has begun.
type harm struct {
	name string
	do   func(t *testing.T, h *hurt)
}

// hurt is one round.
type hurt struct {
	r     *rand.Rand
	pid   int
	then  string
	took  time.Duration // of a pipeline that nobody harms
	image string
	small string // a folder on a small filesystem
}

func (h *hurt) moment() time.Duration { return time.Duration(h.r.Int64N(int64(h.took * 5 / 4))) }

var harms = []harm{{"kill a stage", killStage}, {"fill the disk", fillDisk}, {"close the reader", closeReader}, {"signal freeze", signalFreeze}}

func create(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func killStage(t *testing.T, h *hurt) {
	out := create(t, h.image)
	defer out.Close()
	l := start(t, h.then, h.pid, out)
	time.Sleep(h.moment())
	n := h.r.IntN(len(l.procs))
	l.procs[n].Kill()
	report, _ := l.wait(t)
	t.Logf("killed %s\n%s", stages[n], report)
}

func signalFreeze(t *testing.T, h *hurt) {
	out := create(t, h.image)
	defer out.Close()
	l := start(t, h.then, h.pid, out)
	time.Sleep(h.moment())
	_ = l.procs[0].Cmd.Process.Signal([]os.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP}[h.r.IntN(3)])
	report, _ := l.wait(t)
	t.Log(report)
}

// fillDisk writes to a filesystem with less room than the image needs.
func fillDisk(t *testing.T, h *hurt) {
	room := int64(4096 * (1 + h.r.IntN(40)))
	var st unix.Statfs_t
	if err := unix.Statfs(h.small, &st); err != nil {
		t.Fatal(err)
	}
	ballast := create(t, filepath.Join(h.small, "ballast"))
	defer ballast.Close()
	if err := unix.Fallocate(int(ballast.Fd()), 0, 0, int64(st.Bavail)*st.Bsize-room); err != nil {
		t.Fatal(err)
	}
	out := create(t, filepath.Join(h.small, "image"))
	defer func() {
		out.Close()
		os.Remove(out.Name())
		os.Remove(ballast.Name())
	}()
	l := start(t, h.then, h.pid, out)
	report, ok := l.wait(t)
	if ok {
		t.Errorf("an image of a tree in %d bytes:\n%s", room, report)
	}
	t.Log(report)
}

// closeReader reads a part of the image from a pipe, and goes away.
func closeReader(t *testing.T, h *hurt) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	l := start(t, h.then, h.pid, w)
	w.Close()
	_, err = io.CopyN(io.Discard, r, int64(h.r.IntN(200_000)))
	r.Close()
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	report, _ := l.wait(t)
	t.Log(report)
}

// TestHarm does harm to pipelines, and looks at the tree each time.
func TestHarm(t *testing.T) {
	const victims = 4 // one after another
	small := smallDisk(t)
	for n := range victims {
		seed := uint64(time.Now().UnixNano())
		rnd := rand.New(rand.NewPCG(seed, 0))
		v := harness.Launch(t, harness.Steady, []*syscall.Credential{nil, harness.User}[n%2])
		before := harness.Pictures(v.PID)
		h := &hurt{r: rnd, pid: v.PID, small: small, image: filepath.Join(v.Dir, "image")}
		h.took = undisturbed(t, h)
		for i := range rounds / victims {
			h.then = []string{"thaw", "thaw", "kill"}[rnd.IntN(3)]
			way := harms[i%len(harms)]
			name := fmt.Sprintf("%d-%d %s, then %s", n, i, way.name, h.then)
			if !t.Run(name, func(t *testing.T) {
				way.do(t, h)
				inspect(t, v, h, before)
			}) {
				t.Fatalf("seed %d", seed)
			}
		}
		v.Stop(t)
	}
}

// undisturbed is how long the pipeline takes.
func undisturbed(t *testing.T, h *hurt) time.Duration {
	t.Helper()
	out := create(t, h.image)
	defer out.Close()
	begun := time.Now()
	if report, ok := start(t, "thaw", h.pid, out).wait(t); !ok {
		t.Fatal(report)
	}
	return time.Since(begun)
}

// inspect sees that the tree runs on as it was. When all had been done before
// the harm, freeze has killed it, rightly; then its image must bring it back.
func inspect(t *testing.T, v *harness.Running, h *hurt, before []string) {
	t.Helper()
	if s, ok := harness.ReadStat(v.PID); (!ok || s.State == "Z") && h.then == "kill" {
		harness.WaitGone(t, harness.Tree(v.PID))
		v.Restore(t, h.image, "")
	}
	var left []string
	for range 200 { // what was killed needs a moment to go
		if left = harness.Trapped(v.PID); len(left) == 0 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if len(left) > 0 {
		t.Errorf("left behind:\n%s", strings.Join(left, "\n"))
	}
	if d := harness.Difference(before, harness.Pictures(v.PID)); len(d) > 0 {
		t.Errorf("the tree has changed:\n%s", strings.Join(d, "\n"))
	}
	if s := harness.Strangers(v.PID); len(s) > 0 {
		t.Errorf("processes left behind:\n%s", strings.Join(s, "\n"))
	}
	if f := harness.TemporaryFiles(t); len(f) > 0 {
		t.Errorf("files left behind: %v", f)
	}
}

// smallDisk is a filesystem of a megabyte.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(harness.Scratch, "small")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Fatalf("mount a small tmpfs: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}
