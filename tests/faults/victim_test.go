package faults

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"floe/tests/harness"
)

// victim is a tree that has one of everything (tests/victims/c/whole.c), and
// what it said and looked like before anything was done to it.
type victim struct {
	dir     string
	pid     int
	ids     []int // of its processes and threads
	pids    []int
	live    []int    // those that are no zombies
	in, out *os.File // the test's ends: to ask, and to be answered
	stdin   *os.File // the tree's ends
	stdout  *os.File
	answers *bufio.Reader
	report  string
	picture []string
	files   []string
	asked   int
}

// ids makes process ids. Those of the victims are high, and all others low, so
// that a tree finds its ids free.
var ids struct {
	sync.Mutex
	victims int
}

func lastPid(n int) error {
	return os.WriteFile("/proc/sys/kernel/ns_last_pid", strconv.AppendInt(nil, int64(n), 10), 0)
}

// lowPids makes sure that what comes next gets no id of a victim.
func lowPids(t testing.TB) {
	t.Helper()
	ids.Lock()
	defer ids.Unlock()
	if err := lastPid(300); err != nil {
		t.Fatal(err)
	}
}

func launchVictim(t testing.TB) *victim {
	t.Helper()
	dir, err := os.MkdirTemp(harness.Scratch, "whole-")
	if err != nil {
		t.Fatal(err)
	}
	harness.CompiledC("whole", "-static", "-no-pie", "-pthread")(t, dir)
	v := &victim{dir: dir}
	v.stdin, v.in = pipe(t)
	v.out, v.stdout = pipe(t)
	v.answers = bufio.NewReader(v.out)
	stderr, err := os.Create(filepath.Join(dir, "err"))
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	cmd := exec.Command("./whole")
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, v.stdin, v.stdout, stderr
	cmd.Env = []string{"LC_ALL=C"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	ids.Lock()
	defer ids.Unlock()
	ids.victims++
	if err := lastPid(20000 + 100*ids.victims); err != nil {
		t.Fatal(err)
	}
	if err := harness.Spawn(cmd); err != nil {
		t.Fatal(err)
	}
	v.pid = cmd.Process.Pid
	t.Cleanup(func() { v.kill(t) })
	if v.report, err = v.ask(); err != nil {
		b, _ := os.ReadFile(filepath.Join(dir, "err"))
		t.Fatalf("the victim: %v\n%s", err, b)
	}
	v.learn()
	return v
}

func pipe(t testing.TB) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// learn remembers what the tree looks like.
func (v *victim) learn() {
	v.pids = harness.Tree(v.pid)
	v.ids = nil
	for _, pid := range v.pids {
		v.ids = append(v.ids, harness.Threads(pid)...)
	}
	slices.Sort(v.ids)
	v.live = slices.DeleteFunc(slices.Clone(v.pids), dying)
	v.picture = portrait(v.pids)
	v.files = v.listing()
}

// answerIn is how long a report may take on a busy machine.
const answerIn = 10 * time.Second

// ask asks the tree for a report.
func (v *victim) ask() (string, error) {
	v.asked++
	id := strconv.Itoa(v.asked)
	if err := v.out.SetReadDeadline(time.Now().Add(answerIn)); err != nil {
		return "", err
	}
	if _, err := v.in.WriteString(id + "\n"); err != nil {
		return "", err
	}
	var b strings.Builder
	for ours := false; ; {
		l, err := v.answers.ReadString('\n')
		if err != nil {
			return b.String(), fmt.Errorf("it does not answer: %w", err)
		}
		switch {
		case l == id+"\n":
			ours = true
		case l == "end\n" && ours:
			return b.String(), nil
		case ours:
			b.WriteString(l)
		}
	}
}

// remains are what a restore that was killed once its tree ran may leave, and one
// that says that a request failed which can't fail: its own memory, below all of
// the victim's, and dead code at the end of a vDSO.
var remains = regexp.MustCompile(`^. \d+ (vdso: |maps: 00[123])`)

// whole says what is not as it should be with the running tree.
func (v *victim) whole() error { return v.wholeBut(nil) }

// wholeBut is whole, but for differences that are of no account.
func (v *victim) wholeBut(known *regexp.Regexp) error {
	got, err := v.ask()
	if err != nil {
		return err
	}
	if got != v.report {
		return fmt.Errorf("it reports\n%s", difference(v.report, got))
	}
	// What was just let go may still be on its way to where it sleeps.
	var d []string
	for until := time.Now().Add(soon); time.Now().Before(until); time.Sleep(2 * time.Millisecond) {
		d = harness.Difference(v.picture, portrait(v.pids))
		if known != nil {
			d = slices.DeleteFunc(d, known.MatchString)
		}
		if len(d) == 0 {
			break
		}
	}
	if len(d) > 0 {
		return fmt.Errorf("it differs in\n%s", strings.Join(d, "\n"))
	}
	return v.unchanged()
}

func difference(a, b string) string {
	return strings.Join(harness.Difference(strings.Split(a, "\n"), strings.Split(b, "\n")), "\n")
}

// left are those of its processes that are there, zombies too.
func (v *victim) left() []int {
	return slices.DeleteFunc(slices.Clone(v.pids), func(pid int) bool { return !harness.Exists(pid) })
}

// kill ends what is left of it.
func (v *victim) kill(t testing.TB) {
	t.Helper()
	for _, pid := range v.pids {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
	harness.WaitGone(t, v.pids)
	v.drain()
}

// drain empties what the tree and this test say to each other.
func (v *victim) drain() {
	b := make([]byte, 65536)
	for {
		fds := []unix.PollFd{{Fd: int32(v.stdin.Fd()), Events: unix.POLLIN}}
		if n, err := unix.Poll(fds, 0); n != 1 || err != nil {
			break
		}
		_, _ = v.stdin.Read(b)
	}
	_ = v.out.SetReadDeadline(time.Now().Add(-time.Second))
	for {
		if _, err := v.out.Read(b); err != nil {
			break
		}
	}
	v.answers.Reset(v.out)
}

// listing are the files of its folder, with all that can be seen of them.
func (v *victim) listing() []string {
	var out []string
	entries, _ := os.ReadDir(v.dir)
	for _, e := range entries {
		path := filepath.Join(v.dir, e.Name())
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			continue
		}
		l := fmt.Sprintf("%s mode %o owner %d:%d size %d changed %d", e.Name(), st.Mode, st.Uid, st.Gid, st.Size, st.Ctim.Nano())
		if e.Type().IsRegular() {
			b, _ := os.ReadFile(path)
			l += fmt.Sprintf(" %q", strings.TrimRight(string(b[:min(len(b), 200)]), "\x00"))
		}
		if e.Type() == os.ModeNamedPipe {
			l = e.Name()
		}
		out = append(out, l)
	}
	return out
}

// unchanged says which files are not as they were.
func (v *victim) unchanged() error {
	if d := harness.Difference(v.files, v.listing()); len(d) > 0 {
		return fmt.Errorf("files have changed:\n%s", strings.Join(d, "\n"))
	}
	return nil
}
