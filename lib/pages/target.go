package pages

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"floe/lib/procfs"
)

// target is the address space of a stopped task, to be written. It is for one
// goroutine.
type target struct {
	pid int
	mem *os.File // /proc/PID/mem, when it was needed
}

// write puts buf into the runs, one after another, by process_vm_writev(2).
// Pages that the protection keeps from being written it writes as a debugger
// would, through /proc/PID/mem.
func (t *target) write(v *iovecs, runs []Run, buf []byte) error {
	for len(runs) > 0 {
		batch := runs[:min(len(runs), maxIovecs)]
		n := int(countPages(batch) * PageSize)
		if err := t.writeBatch(v, batch, buf[:n]); err != nil {
			return err
		}
		runs, buf = runs[len(batch):], buf[n:]
	}
	return nil
}

// maxIovecs is IOV_MAX: more vectors the kernel doesn't take.
const maxIovecs = 1024

func (t *target) writeBatch(v *iovecs, runs []Run, buf []byte) error {
	local := unix.Iovec{Base: &buf[0]}
	local.SetLen(len(buf))
	n, err := unix.ProcessVMWritev(t.pid, []unix.Iovec{local}, v.set(runs), 0)
	if n == len(buf) {
		return nil
	}
	if err != nil && !errors.Is(err, unix.EFAULT) {
		return fmt.Errorf("task %d: write memory at %#x: %w", t.pid, runs[0].Addr, err)
	}
	done := max(n, 0) / PageSize
	_, rest := cutRuns(runs, uint64(done))
	return t.force(rest, buf[done*PageSize:])
}

func (t *target) force(runs []Run, buf []byte) error {
	if t.mem == nil {
		var err error
		if t.mem, err = procfs.Open(fmt.Sprintf("/proc/%d/mem", t.pid), unix.O_RDWR); err != nil {
			return fmt.Errorf("task %d: %w", t.pid, err)
		}
	}
	for _, r := range runs {
		n := r.Pages * PageSize
		if _, err := t.mem.WriteAt(buf[:n], int64(r.Addr)); err != nil {
			return fmt.Errorf("task %d: write memory at %#x-%#x: %w", t.pid, r.Addr, r.End(), err)
		}
		buf = buf[n:]
	}
	return nil
}

func (t *target) Close() {
	if t.mem != nil {
		t.mem.Close()
	}
}
