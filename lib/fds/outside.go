package fds

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// holder is a process outside of the tree.
type holder struct {
	pid  int32
	comm string
}

// holderOf finds a process outside of the tree that has a pipe of the tree
// open. All pipes are looked up at once, the first time. Processes that /proc
// doesn't show are not found.
func (c *collector) holderOf(d *desc) (holder, bool, error) {
	if c.others == nil {
		if err := c.scanOthers(); err != nil {
			return holder{}, false, err
		}
	}
	h, ok := c.others[d.object()]
	return h, ok, nil
}

// scanOthers looks through the descriptors of every process but the tree's and
// this one.
func (c *collector) scanOthers() error {
	c.others = map[object]holder{}
	anon := map[string]object{} // by link
	fifo := map[string]object{}
	for _, d := range c.descs {
		if d.format() != unix.S_IFIFO {
			continue
		}
		if isAnon(d.link) {
			anon[d.link] = d.object()
		} else {
			fifo[d.link] = d.object()
		}
	}
	ours := map[int]bool{os.Getpid(): true}
	for _, t := range c.tree.Tasks {
		ours[int(t.Pid)] = true
	}
	proc, err := os.Open("/proc")
	if err != nil {
		return err
	}
	defer proc.Close()
	names, err := proc.Readdirnames(-1)
	if err != nil {
		return fmt.Errorf("/proc: %w", err)
	}
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || ours[pid] {
			continue
		}
		c.scanProcess(pid, anon, fifo)
	}
	return nil
}

// scanProcess looks through one process's descriptors. One that is gone has
// none.
func (c *collector) scanProcess(pid int, anon, fifo map[string]object) {
	dir := fmt.Sprintf("/proc/%d/fd/", pid)
	f, err := os.Open(dir)
	if err != nil {
		return
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return
	}
	buf := make([]byte, unix.PathMax)
	for _, name := range names {
		n, err := unix.Readlink(dir+name, buf)
		if err != nil {
			continue
		}
		o, ok := anon[string(buf[:n])]
		if !ok {
			o, ok = fifo[string(buf[:n])]
		}
		if ok {
			if _, known := c.others[o]; !known {
				c.others[o] = holder{int32(pid), commOf(pid)}
			}
		}
	}
}

// commOf is a process's name.
func commOf(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return "?"
	}
	return strings.TrimSuffix(string(b), "\n")
}
