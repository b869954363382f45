package stage

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"floe/lib/image"
	"floe/lib/procfs"
	"floe/lib/record"
)

// tree is the tasks of a stream, as they must be while it is read: the same
// ones, and in the hands of freeze.
type tree struct {
	im     *image.Image
	all    threads
	tracer int // the thread of freeze that holds them, once it is known
	buf    [2048]byte
}

// threads are what tells threads apart, by tid.
type threads map[int32]thread

type thread struct {
	pid   int32
	start uint64 // clock ticks since boot
}

func (all threads) add(t *record.Thread) error {
	if _, twice := all[t.Tid]; twice {
		return fmt.Errorf("the stream has thread %d twice", t.Tid)
	}
	all[t.Tid] = thread{t.Pid, t.StartTime}
	return nil
}

func watch(im *image.Image, all threads) *tree { return &tree{im: im, all: all} }

// States of /proc/PID/stat.
const (
	tracingStop = 't'
	zombie      = 'Z'
)

// check looks at every thread.
func (t *tree) check() error {
	for _, task := range t.im.Tasks {
		if task.State == record.Task_ZOMBIE {
			if err := t.stat(unix.AT_FDCWD, procPath(task.Pid, "stat"), task.Pid, task.StartTime, zombie); err != nil {
				return err
			}
			continue
		}
		if err := t.held(task); err != nil {
			return err
		}
		if err := t.threads(task); err != nil {
			return err
		}
	}
	return nil
}

// recheck looks at every process. A thread in a tracing stop can leave it alone
// only by the death of its process, or by its tracer.
func (t *tree) recheck() error {
	for _, task := range t.im.Tasks {
		state := byte(tracingStop)
		if task.State == record.Task_ZOMBIE {
			state = zombie
		}
		if err := t.stat(unix.AT_FDCWD, procPath(task.Pid, "stat"), task.Pid, task.StartTime, state); err != nil {
			return err
		}
	}
	return nil
}

func procPath(pid int32, name string) string { return "/proc/" + strconv.Itoa(int(pid)) + "/" + name }

// threads checks all threads of a process, and that there are no others.
func (t *tree) threads(task *record.Task) error {
	dir, err := unix.Open(procPath(task.Pid, "task"), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return gone(task.Pid, err)
	}
	defer unix.Close(dir)
	var st unix.Stat_t
	if err := unix.Fstat(dir, &st); err != nil {
		return gone(task.Pid, err)
	}
	// proc(5): one link for each thread, two for the directory.
	if n := int(st.Nlink) - 2; n > len(task.Tids) {
		return fmt.Errorf("task %d has %d threads, and the stream %d of them", task.Pid, n, len(task.Tids))
	}
	for _, tid := range task.Tids {
		th, ok := t.all[tid]
		if !ok || th.pid != task.Pid {
			return fmt.Errorf("task %d: thread %d is not in the stream", task.Pid, tid)
		}
		if err := t.stat(dir, strconv.Itoa(int(tid))+"/stat", tid, th.start, tracingStop); err != nil {
			return err
		}
	}
	return nil
}

// stat checks a task's identity and state.
func (t *tree) stat(dir int, path string, tid int32, start uint64, state byte) error {
	b, err := procfs.ReadIntoAt(dir, path, t.buf[:])
	if err != nil {
		return gone(tid, err)
	}
	gotState, gotStart, err := procfs.StateAndStart(b)
	switch {
	case err != nil:
		return fmt.Errorf("task %d: %w", tid, err)
	case gotStart != start:
		return fmt.Errorf("task %d is gone: another process has its id", tid)
	case gotState != state:
		return fmt.Errorf("task %d is not frozen any more: its state is %q, not %q", tid, gotState, state)
	}
	return nil
}

func gone(tid int32, err error) error {
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("task %d is gone", tid)
	}
	return fmt.Errorf("task %d: %w", tid, err)
}

// held checks that a process's tracer is a thread of freeze.
func (t *tree) held(task *record.Task) error {
	b, err := procfs.ReadInto(procPath(task.Pid, "status"), t.buf[:])
	if err != nil {
		return gone(task.Pid, err)
	}
	_, rest, _ := bytes.Cut(b, []byte("\nTracerPid:\t"))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	tracer, err := strconv.Atoi(string(line))
	switch {
	case err != nil:
		return fmt.Errorf("/proc/%d/status: no TracerPid in it", task.Pid)
	case tracer == 0:
		return fmt.Errorf("task %d is not frozen any more: nobody traces it", task.Pid)
	case tracer == t.tracer:
		return nil
	}
	freeze := t.im.Header.Lease.Pid
	if _, err := os.Stat(fmt.Sprintf("/proc/%d/task/%d", freeze, tracer)); err != nil {
		return fmt.Errorf("task %d is held by task %d, not by freeze (task %d)", task.Pid, tracer, freeze)
	}
	t.tracer = tracer
	return nil
}
