package pages

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"floe/lib/procfs"
)

// memory is the address space of a frozen task, to be read. Many goroutines
// may read at once, each with an iovecs of its own.
type memory struct {
	pid int // a task that has it

	refs atomic.Int64
	once sync.Once
	mem  *os.File // /proc/PID/mem
	err  error
}

func newMemory(pid int) *memory {
	m := &memory{pid: pid}
	m.refs.Store(1)
	return m
}

func (m *memory) hold() { m.refs.Add(1) }

// done closes what was opened when nothing refers to it any more.
func (m *memory) done() {
	if m.refs.Add(-1) == 0 && m.mem != nil {
		m.mem.Close()
	}
}

// iovecs is scratch space for vectors, one a worker.
type iovecs struct {
	remote []unix.RemoteIovec
}

// set makes the remote vector of runs.
func (v *iovecs) set(runs []Run) []unix.RemoteIovec {
	v.remote = v.remote[:0]
	for _, r := range runs {
		v.remote = append(v.remote, unix.RemoteIovec{Base: uintptr(r.Addr), Len: int(r.Pages * PageSize)})
	}
	return v.remote
}

// read fills buf with the runs' bytes (at most BlockPages pages), by
// process_vm_readv(2). What that may not read, since the protection forbids
// it, it reads through /proc/PID/mem.
func (m *memory) read(v *iovecs, runs []Run, buf []byte) error {
	local := unix.Iovec{Base: &buf[0]}
	local.SetLen(len(buf))
	n, err := unix.ProcessVMReadv(m.pid, []unix.Iovec{local}, v.set(runs), 0)
	if n == len(buf) {
		return nil
	}
	if err != nil && !errors.Is(err, unix.EFAULT) {
		return fmt.Errorf("task %d: read memory at %#x: %w", m.pid, runs[0].Addr, err)
	}
	_, rest := cutRuns(runs, uint64(max(n, 0)/PageSize))
	return m.readForced(rest, buf[max(n, 0)/PageSize*PageSize:])
}

// readForced reads as a debugger does, whatever the protection says.
func (m *memory) readForced(runs []Run, buf []byte) error {
	m.once.Do(func() { m.mem, m.err = procfs.Open(fmt.Sprintf("/proc/%d/mem", m.pid), unix.O_RDONLY) })
	if m.err != nil {
		return fmt.Errorf("task %d: %w", m.pid, m.err)
	}
	for _, r := range runs {
		n := int(r.Pages * PageSize)
		if k, err := io.ReadFull(io.NewSectionReader(m.mem, int64(r.Addr), int64(n)), buf[:n]); err != nil {
			return fmt.Errorf("task %d: page %#x can't be read (broken memory, or a kernel that forbids /proc/PID/mem to override protection): %w",
				m.pid, r.Addr+uint64(k)/PageSize*PageSize, err)
		}
		buf = buf[n:]
	}
	return nil
}
