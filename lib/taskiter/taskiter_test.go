package taskiter

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestRead: a child that sleeps, and is then stopped, has its deadline in what is
// read of it; and this process has nothing to undo.
func TestRead(t *testing.T) {
	before := clock(t)
	c := exec.Command("sleep", "100")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Process.Kill(); _ = c.Wait() }()
	const nanosleep, clockNanosleep = "35 ", "230 "
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		b, _ := os.ReadFile("/proc/" + strconv.Itoa(c.Process.Pid) + "/syscall")
		if strings.HasPrefix(string(b), nanosleep) || strings.HasPrefix(string(b), clockNanosleep) {
			break
		} else if time.Now().After(end) {
			t.Fatalf("it does not sleep: %q", b)
		}
	}
	after := clock(t)
	if err := c.Process.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Wait4(c.Process.Pid, nil, unix.WUNTRACED, nil); err != nil {
		t.Fatal(err)
	}
	tasks, err := Read(c.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	mine, err := Read(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	child, own := tasks[c.Process.Pid], mine[os.Getpid()]
	if child == nil || own == nil {
		t.Fatalf("of %d tasks the child is %v, this process %v", len(tasks), child, own)
	}
	const slack = int64(time.Millisecond)
	if d := child.Sleep.Deadline - 100e9; d < before || d > after+slack || child.Sleep.Clock != unix.CLOCK_MONOTONIC {
		t.Errorf("it sleeps until %d by clock %d; it began between %d and %d", child.Sleep.Deadline, child.Sleep.Clock, before, after)
	}
	if child.Undo || own.Undo {
		t.Errorf("something to undo: child %t, this process %t", child.Undo, own.Undo)
	}
}

// TestUndo: what semop(2) will undo at the end of a task is seen, and what has been
// undone by hand too, since the kernel keeps the place.
func TestUndo(t *testing.T) {
	runtime.LockOSThread() // and the thread ends with the test, and its semaphores
	if err := unix.Unshare(unix.CLONE_SYSVSEM); err != nil {
		t.Fatal(err)
	}
	id, _, e := unix.Syscall(unix.SYS_SEMGET, 0 /* IPC_PRIVATE */, 1, 0o600)
	if e != 0 {
		t.Fatal(e)
	}
	defer unix.Syscall6(unix.SYS_SEMCTL, id, 0, 0 /* IPC_RMID */, 0, 0, 0)
	look := func() bool {
		tasks, err := Read(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		return tasks[unix.Gettid()].Undo
	}
	if look() {
		t.Error("something to undo before")
	}
	if err := raise(id); err != nil {
		t.Fatal(err)
	}
	if !look() {
		t.Error("nothing to undo afterwards")
	}
}

// TestDamaged: what is no BTF, or is cut, is an error and no panic.
func TestDamaged(t *testing.T) {
	b, err := os.ReadFile("/sys/kernel/btf/vmlinux")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 10, btfHeader, 1000, len(b) / 2, len(b) - 1} {
		if _, err := parseBTF(b[:n]); err == nil {
			t.Errorf("%d of %d bytes are no error", n, len(b))
		}
	}
	if good, err := parseBTF(b); err != nil {
		t.Error(err)
	} else if _, _, err := good.offset("task_struct", "no_such_member"); err == nil {
		t.Error("a member that is not there is no error")
	}
}

func clock(t *testing.T) int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		t.Fatal(err)
	}
	return now.Nano()
}

// TestTimers: the id that comes next, the thread whose time a timer counts, what a
// timer has missed, and that it was set anew.
func TestTimers(t *testing.T) {
	runtime.LockOSThread()
	look := func(id int32) (*Process, *Timer) {
		t.Helper()
		all, err := Timers(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		p := all[os.Getpid()]
		if p == nil || p.Timers[id] == nil {
			t.Fatalf("of %d processes this one has %v", len(all), p)
		}
		return p, p.Timers[id]
	}
	ids := []int32{makeTimer(t, unix.CLOCK_THREAD_CPUTIME_ID), makeTimer(t, unix.CLOCK_MONOTONIC)}
	defer deleteTimers(ids)
	p, cpu := look(ids[0])
	if int(cpu.Owner) != unix.Gettid() || p.NextID != ids[1]+1 {
		t.Errorf("owner %d, this thread %d; next id %d after %d", cpu.Owner, unix.Gettid(), p.NextID, ids[1])
	}
	setTimer(t, ids[1], time.Millisecond, time.Millisecond)
	time.Sleep(20 * time.Millisecond)
	getTimer(t, ids[1]) // the kernel counts then
	if _, m := look(ids[1]); m.Missed < 10 || m.Missed > 1e6 {
		t.Errorf("%d missed in 20 ms", m.Missed)
	}
	setTimer(t, ids[1], time.Hour, 0)
	const other = 1 << 30 // no siginfo has that
	if _, m := look(ids[1]); !m.Stale(other) {
		t.Error("a signal from before the timer was set anew is not stale")
	}
}
