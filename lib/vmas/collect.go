package vmas

import (
	"fmt"
	"sync"

	"floe/lib/image"
	"floe/lib/procfs"
	"floe/lib/record"
)

// collector numbers files and shared objects across the tree.
type collector struct {
	emit     func(*record.Record) error
	files    map[fileKey]uint64
	shmem    map[objectKey]*shmem
	device   func() (uint64, error) // the kernel's own tmpfs
	mapLimit func() (int, error)
	verbose  func(format string, args ...any)
}

// Collect gives records of all address spaces of a frozen tree to emit: Files
// before the mappings of them, each Mm before its Vmas. verbose is told what
// was found.
func Collect(im *image.Image, emit func(*record.Record) error, verbose func(format string, args ...any)) error {
	c := &collector{emit: emit, verbose: verbose, files: map[fileKey]uint64{}, shmem: map[objectKey]*shmem{}, device: shmemDevice(), mapLimit: sync.OnceValues(procfs.MaxMapCount)}
	done := map[uint64]bool{}
	for _, t := range im.Tasks {
		if t.State == record.Task_ZOMBIE || done[t.MmId] {
			continue
		}
		done[t.MmId] = true
		if err := c.space(t); err != nil {
			return fmt.Errorf("task %d (%s): %w", t.Pid, t.Comm, err)
		}
	}
	return c.outside(im)
}
