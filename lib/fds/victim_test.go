package fds

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"floe/lib/clocks"
	"floe/lib/image"
	"floe/lib/kabi"
	"floe/lib/record"
)

func TestMain(m *testing.M) {
	// Victims get nothing but what a test gives them, whatever ran the tests.
	_ = unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	os.Exit(m.Run())
}

// victim is a process tree that says "ready" and its pids on a line, and then
// waits for a line.
type victim struct {
	t    testing.TB
	cmd  *exec.Cmd
	pids []int32 // the root first
	out  *bufio.Reader
	say  func(string)
}

// prelude is what the python victims share.
const prelude = `
import os, sys, fcntl, struct, ctypes, signal, socket, time, select, errno, tempfile
libc = ctypes.CDLL(None, use_errno=True)
def sys_(*a):
    r = libc.syscall(*a)
    if r < 0: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return r
def ready(*pids):
    print("ready", os.getpid(), *pids, flush=True)
def wait():
    return sys.stdin.readline().strip()
def hold():
    ready()
    return wait()
`

// python starts a victim written in python, in a directory of its own.
func python(t testing.TB, code string) *victim {
	t.Helper()
	return start(t, exec.Command("/usr/bin/python3", "-c", prelude+code))
}

func start(t testing.TB, cmd *exec.Cmd) *victim {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("these tests need root")
	}
	if cmd.Dir == "" {
		cmd.Dir = t.TempDir()
	}
	v := &victim{t: t, cmd: cmd}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	v.say = func(s string) { fmt.Fprintln(in, s) }
	v.out = bufio.NewReader(out)
	t.Cleanup(v.end)
	v.await()
	return v
}

func (v *victim) end() {
	for _, p := range v.pids {
		_ = unix.Kill(int(p), unix.SIGKILL)
	}
	_ = v.cmd.Process.Kill()
	_ = v.cmd.Wait()
}

// line is the victim's next line.
func (v *victim) line() string {
	v.t.Helper()
	s, err := v.out.ReadString('\n')
	if err != nil {
		v.t.Fatalf("the victim ended: %v", err)
	}
	return strings.TrimSpace(s)
}

func (v *victim) await() {
	v.t.Helper()
	f := strings.Fields(v.line())
	if len(f) < 2 || f[0] != "ready" {
		v.t.Fatalf("the victim said %q", f)
	}
	for _, s := range f[1:] {
		var pid int32
		if _, err := fmt.Sscan(s, &pid); err != nil {
			v.t.Fatal(err)
		}
		v.pids = append(v.pids, pid)
	}
}

// freeze stops the tree and describes its tasks as freeze does.
func (v *victim) freeze() []*record.Task {
	v.t.Helper()
	var tasks []*record.Task
	for i, pid := range v.pids {
		if err := unix.Kill(int(pid), unix.SIGSTOP); err != nil {
			v.t.Fatal(err)
		}
		v.awaitState(pid, 'T')
		pgid, err := unix.Getpgid(int(pid))
		if err != nil {
			v.t.Fatal(err)
		}
		task := &record.Task{Pid: pid, Pgid: int32(pgid), Ppid: v.pids[0], Tids: []int32{pid}, Comm: commOf(int(pid)), FilesId: uint64(i + 1), FsId: uint64(i + 1), MmId: uint64(i + 1)}
		for _, other := range tasks {
			if r, err := kcmp(other.Pid, pid, kabi.KCMP_FILES, 0, 0); err != nil {
				v.t.Fatal(err)
			} else if r == kcmpSame {
				task.FilesId = other.FilesId
			}
			if r, _ := kcmp(other.Pid, pid, kabi.KCMP_FS, 0, 0); r == kcmpSame {
				task.FsId = other.FsId
			}
		}
		tasks = append(tasks, task)
	}
	return tasks
}

func (v *victim) thaw() {
	for _, p := range v.pids {
		_ = unix.Kill(int(p), unix.SIGCONT)
	}
}

func (v *victim) awaitState(pid int32, state byte) {
	v.t.Helper()
	for range 2000 {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			v.t.Fatal(err)
		}
		if b[strings.LastIndexByte(string(b), ')')+2] == state {
			return
		}
		time.Sleep(time.Millisecond)
	}
	v.t.Fatalf("task %d did not get into state %c", pid, state)
}

// collect saves a frozen tree into an image in memory.
func collect(t testing.TB, tasks []*record.Task) (*image.Image, error) {
	t.Helper()
	im := image.New()
	add := func(rec *record.Record, payload []byte) error { return im.Add(rec, payload) }
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	now, err := clocks.Now()
	if err != nil {
		t.Fatal(err)
	}
	head := &record.Header{BootId: strings.TrimSpace(string(boot)), Clocks: now}
	if err := add(&record.Record{Body: &record.Record_Header{Header: head}}, nil); err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		if err := add(&record.Record{Body: &record.Record_Task{Task: task}}, nil); err != nil {
			t.Fatal(err)
		}
	}
	return im, CollectTree(&Tree{Tasks: tasks, Clock: head.Clocks, Add: add})
}

// opened is an image of a victim, opened in the test.
type opened struct {
	*Set
	t  testing.TB
	im *image.Image
}

// save freezes and saves the victim.
func (v *victim) save() *image.Image {
	v.t.Helper()
	im, err := collect(v.t, v.freeze())
	if err != nil {
		v.t.Fatal(err)
	}
	return im
}

func reopenImage(t testing.TB, im *image.Image, opt OpenOptions) *opened {
	t.Helper()
	if opt.Warnf == nil {
		opt.Warnf = t.Logf
	}
	s, err := Open(im, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return &opened{s, t, im}
}

// saveAndOpen saves the victim, kills it, and opens all that it had.
func (v *victim) saveAndOpen() *opened {
	v.t.Helper()
	im := v.save()
	v.end()
	return reopenImage(v.t, im, OpenOptions{})
}

// fd is the test's descriptor for a descriptor of a task (0: the root).
func (o *opened) fd(task int, fd int32) int {
	o.t.Helper()
	for _, f := range o.im.Fds[o.im.Tasks[task].FilesId] {
		if f.Fd == fd {
			if own, ok := o.FD(f.OpenId); ok {
				return own
			}
		}
	}
	o.t.Fatalf("task %d has no fd %d", task, fd)
	return -1
}

// read reads up to n bytes without waiting.
func (o *opened) read(fd, n int) string {
	o.t.Helper()
	_ = unix.SetNonblock(fd, true)
	b := make([]byte, n)
	n, err := unix.Read(fd, b)
	if err != nil {
		o.t.Fatalf("read: %v", err)
	}
	return string(b[:n])
}

// same tells whether two descriptors of this process are one description.
func same(t testing.TB, a, b int) bool {
	t.Helper()
	me := int32(os.Getpid())
	r, err := kcmp(me, me, kabi.KCMP_FILE, uintptr(a), uintptr(b))
	if err != nil {
		t.Fatal(err)
	}
	return r == kcmpSame
}

func flagsOf(t testing.TB, fd int) int {
	t.Helper()
	n, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// threadsOf lists the threads of a task, the leader first.
func threadsOf(t testing.TB, pid int32) []int32 {
	t.Helper()
	names, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	list := []int32{pid}
	for _, n := range names {
		if tid := atoi(t, n.Name()); tid != pid {
			list = append(list, tid)
		}
	}
	return list
}
