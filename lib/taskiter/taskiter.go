package taskiter

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync"

	"golang.org/x/sys/unix"
)

// Task is what is known of one task.
type Task struct {
	Futex FutexWait
	Sleep Sleep
	Poll  Poll
	Undo  bool // semop(2)'s SEM_UNDO has something to undo at its end
}

// The next three are the same memory, struct restart_block: what an interrupted
// call left there for restart_syscall(2). Which of them it is the call says that the task
// stands in. Deadlines are nanoseconds of the boot's clock, whatever time namespace
// the task is in.

// FutexWait is a timed wait for a futex, CLOCK_MONOTONIC.
type FutexWait struct {
	Addr     uint64
	Val      uint32
	Deadline int64
}

// Sleep is a relative clock_nanosleep(2).
type Sleep struct {
	Clock    int32
	Left     uint64 // where the time that is left is to be written; not used with 0 in the call
	Deadline int64
}

// Poll is a poll(2), CLOCK_MONOTONIC.
type Poll struct {
	FDs      uint64
	N        int32
	Timed    bool
	Deadline int64
}

// kernel is what a program for the running kernel needs to know.
type kernel struct {
	layout      layout
	timerLayout timerLayout
	ns          uint64 // inode of this process's pid namespace
	// The programs, once they are loaded.
	tasks, timers func() (int, error)
}

var theKernel = sync.OnceValues(func() (*kernel, error) {
	var ns unix.Stat_t
	if err := unix.Stat("/proc/self/ns/pid", &ns); err != nil {
		return nil, fmt.Errorf("/proc/self/ns/pid: %w", err)
	}
	t, err := readBTF()
	if err != nil {
		return nil, err
	}
	l, err := t.layout()
	if err != nil {
		return nil, err
	}
	if l.blockSize == 0 || l.blockSize > mostBlock {
		return nil, fmt.Errorf("struct restart_block has %d bytes; limit is %d", l.blockSize, mostBlock)
	}
	timers, err := t.timerLayout()
	if err != nil {
		return nil, err
	}
	k := &kernel{layout: l, timerLayout: timers, ns: ns.Ino}
	k.tasks = sync.OnceValues(func() (int, error) { return load(program(&k.layout), l.iter) })
	k.timers = sync.OnceValues(func() (int, error) { return load(timersProgram(&k.layout, &k.timerLayout), l.iter) })
	return k, nil
})

// each runs a program over the threads of a process, and calls f for each record of size bytes that
// it has written of a task in this process's pid namespace: nr and inum are where in it
// the task's number and the inode of its namespace are.
func (k *kernel) each(pid int, program func() (int, error), size, nr, inum int, f func(tid int, b []byte)) error {
	prog, err := program()
	if err != nil {
		return fmt.Errorf("bpf: loading a program: %w", err)
	}
	file, err := open(prog, pid)
	if err != nil {
		return fmt.Errorf("bpf: task iterator: %w", err)
	}
	defer file.Close()
	b, err := io.ReadAll(file)
	if err != nil {
		return fmt.Errorf("bpf: task iterator: %w", err)
	}
	if len(b)%size != 0 {
		return fmt.Errorf("bpf: task iterator: %d bytes; each record has %d", len(b), size)
	}
	le := binary.LittleEndian
	for ; len(b) > 0; b = b[size:] {
		if le.Uint64(b[inum:]) == k.ns {
			f(int(le.Uint32(b[nr:])), b)
		}
	}
	return nil
}

// Read reads the threads of a process, by thread id; before Linux 6.1 all tasks.
func Read(pid int) (map[int]*Task, error) {
	k, err := theKernel()
	if err != nil {
		return nil, err
	}
	tasks := map[int]*Task{}
	return tasks, k.each(pid, k.tasks, sizeOut, outNr, outInum, func(tid int, b []byte) { tasks[tid] = k.layout.task(b) })
}

func (l *layout) task(b []byte) *Task {
	le, f := binary.LittleEndian, &l.fields
	u64 := func(at uint32) uint64 { return le.Uint64(b[outBlock+at:]) }
	u32 := func(at uint32) uint32 { return le.Uint32(b[outBlock+at:]) }
	return &Task{
		Futex: FutexWait{Addr: u64(f.futexAddr), Val: u32(f.futexVal), Deadline: int64(u64(f.futexTime))},
		Sleep: Sleep{Clock: int32(u32(f.sleepClock)), Left: u64(f.sleepRmtp), Deadline: int64(u64(f.sleepExpires))},
		Poll: Poll{FDs: u64(f.pollFDs), N: int32(u32(f.pollN)), Timed: u32(f.pollTimed) != 0,
			Deadline: int64(u64(f.pollSec)*1e9 + u64(f.pollSec+8))},
		Undo: le.Uint64(b[outHead:]) != uint64(l.undos) && le.Uint64(b[outUndo:]) != 0,
	}
}
