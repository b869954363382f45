package harness

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

// User is a user who is not root, with groups.
var User = &syscall.Credential{Uid: 34567, Gid: 34568, Groups: []uint32{34568, 34569, 20}}

// Victim is a program to be checkpointed.
type Victim struct {
	Name string
	// Args is the command, run in a folder of its own. It says on standard
	// output when it has begun.
	Args []string
	// Prepare puts what the command needs into the folder.
	Prepare func(t testing.TB, dir string)
	// Result is what must be the same as of an uninterrupted run: standard
	// output and error, without it.
	Result func(t testing.TB, dir string) string
}

// Running is a victim at work.
type Running struct {
	*Victim
	Dir   string
	PID   int
	Begun time.Time
	ended <-chan End
}

// Output is the file that the victim writes to.
func (r *Running) Output() string { return filepath.Join(r.Dir, "out") }

// Launch starts a victim in a session of its own, as user (nil: root), and
// waits until it has begun.
func Launch(t testing.TB, v *Victim, user *syscall.Credential) *Running {
	t.Helper()
	dir, err := os.MkdirTemp(Scratch, v.Name+"-")
	if err != nil {
		t.Fatal(err)
	}
	r := &Running{Victim: v, Dir: dir}
	if v.Prepare != nil {
		v.Prepare(t, dir)
	}
	if user != nil {
		give(t, dir, user)
	}
	out, err := os.Create(r.Output())
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if user != nil {
		if err := out.Chown(int(user.Uid), int(user.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(v.Args[0], v.Args[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + dir, "LC_ALL=C", "TMPDIR=" + dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: user}
	r.Begun = time.Now()
	if r.ended, err = spawn(cmd); err != nil {
		t.Fatalf("start %s: %v", v.Name, err)
	}
	r.PID = cmd.Process.Pid
	t.Cleanup(func() { r.destroy() })
	r.awaitOutput(t)
	return r
}

// give makes a folder and what is in it a user's.
func give(t testing.TB, dir string, user *syscall.Credential) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(user.Uid), int(user.Gid))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// awaitOutput waits until the victim has written something.
func (r *Running) awaitOutput(t testing.TB) {
	t.Helper()
	until := time.Now().Add(Limit)
	for {
		if st, err := os.Stat(r.Output()); err == nil && st.Size() > 0 {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("%s has not begun in %s", r.Name, Limit)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// End waits for the victim's end: of the process that was started, or of the
// restored one when it is this test's child.
func (r *Running) End(t testing.TB) End {
	t.Helper()
	select {
	case e := <-r.ended:
		return e
	case <-time.After(Limit):
		t.Fatalf("%s (process %d) has not ended in %s\n%s", r.Name, r.PID, Limit, stacks(r.PID))
	}
	panic("not reached")
}

// Outcome is the result to compare.
func (r *Running) Outcome(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile(r.Output())
	if err != nil {
		t.Fatal(err)
	}
	out := string(b)
	if r.Result != nil {
		out += r.Result(t, r.Dir)
	}
	return out
}

// destroy ends what is left of a victim, and removes its folder.
func (r *Running) destroy() {
	for range 100 {
		left := r.session()
		if len(left) == 0 {
			break
		}
		for _, pid := range left {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		time.Sleep(5 * time.Millisecond)
	}
	os.RemoveAll(r.Dir)
}

// session are the victim's processes, and all that work in its folder.
func (r *Running) session() []int {
	out := Tree(r.PID)
	for _, pid := range Processes() {
		if dir, err := os.Readlink("/proc/" + itoa(pid) + "/cwd"); err == nil && dir == r.Dir && !slices.Contains(out, pid) {
			out = append(out, pid)
		}
	}
	return out
}

// Left are the processes that are left of a victim.
func (r *Running) Left() []int { return r.session() }
