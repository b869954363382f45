package vmas

import (
	"bytes"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"floe/lib/image"
	"floe/lib/procfs"
)

// shmem is a shared anonymous object.
type shmem struct {
	id   uint64
	size uint64 // bytes, of the whole object
}

// objectKey is a shared object's device and inode, as maps shows them.
type objectKey struct {
	major, minor uint32
	inode        uint64
}

// isShmem tells shared anonymous memory: mmap(2) of nothing or of /dev/zero,
// MAP_SHARED, for both of which the kernel makes a file of this name. A memfd's
// name has a prefix.
func (c *collector) isShmem(o *object) (bool, error) {
	if o.path != "/dev/zero"+deletedSuffix || o.stat.Nlink != 0 || o.fs != unix.TMPFS_MAGIC {
		return false, nil
	}
	dev, err := c.device()
	return err == nil && o.stat.Dev == dev, err
}

// number gives the object behind a mapping its number: the same object, the
// same number, across the tree.
func (c *collector) number(m *procfs.Mapping, o *object) *shmem {
	k := objectKey{m.Major, m.Minor, m.Inode}
	sh := c.shmem[k]
	if sh == nil {
		sh = &shmem{id: uint64(len(c.shmem) + 1), size: uint64(o.stat.Size)}
		c.shmem[k] = sh
	}
	return sh
}

// outside refuses shared memory that a process outside of the tree has mapped
// too: a restored tree would have a copy of its own. Processes whose maps this
// one may not read are not found.
func (c *collector) outside(im *image.Image) error {
	if len(c.shmem) == 0 {
		return nil
	}
	ours := map[int]bool{}
	for _, t := range im.Tasks {
		ours[int(t.Pid)] = true
	}
	pids, err := procfs.Processes()
	if err != nil {
		return err
	}
	devices := map[string]bool{} // " 00:01 "
	for k := range c.shmem {
		devices[fmt.Sprintf(" %02x:%02x ", k.major, k.minor)] = true
	}
	for _, pid := range pids {
		if ours[pid] {
			continue
		}
		maps, err := procfs.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
		if err != nil || !containsAny(maps, devices) {
			continue
		}
		for m, err := range procfs.Mappings(bytes.NewReader(maps)) {
			if err == nil && m.Shared && c.shmem[objectKey{m.Major, m.Minor, m.Inode}] != nil {
				return sharedOutside(im, pid, m)
			}
		}
	}
	return nil
}

func containsAny(b []byte, list map[string]bool) bool {
	for s := range list {
		if bytes.Contains(b, []byte(s)) {
			return true
		}
	}
	return false
}

func sharedOutside(im *image.Image, pid int, m *procfs.Mapping) error {
	comm := "?"
	if b, err := procfs.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); err == nil {
		comm = strings.TrimSuffix(string(b), "\n")
	}
	root := im.Tasks[0]
	return fmt.Errorf("task %d (%s): its tree shares memory with task %d (%s, at %x-%x) outside of the tree; checkpoint a tree that has both",
		root.Pid, root.Comm, pid, comm, m.Start, m.End)
}
