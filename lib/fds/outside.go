package fds

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"floe/lib/procfs"
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
	objects := map[string]object{} // by link
	for _, d := range c.descs {
		if d.format() == unix.S_IFIFO {
			objects[d.link] = d.object()
		}
	}
	ours := map[int]bool{os.Getpid(): true}
	for _, t := range c.tree.Tasks {
		ours[int(t.Pid)] = true
	}
	proc, err := procfs.Open("/proc", unix.O_RDONLY)
	if err != nil {
		return err
	}
	defer proc.Close()
	names, err := proc.Readdirnames(-1)
	if err != nil {
		return fmt.Errorf("/proc: %w", err)
	}
	sc := scan{proc: int(proc.Fd()), buf: make([]byte, 32<<10), link: make([]byte, unix.PathMax)}
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || ours[pid] {
			continue
		}
		sc.process(name, func(link []byte) {
			o, ok := objects[string(link)]
			if _, known := c.others[o]; ok && !known {
				c.others[o] = holder{int32(pid), commOf(pid)}
			}
		})
	}
	return nil
}

// scan reads the links of descriptors with as few system calls as can be: it
// is most of the time that fddump takes for a small tree.
type scan struct {
	proc int
	buf  []byte
	link []byte
}

// process calls f with the link of every descriptor of a process. One that is
// gone has none.
func (sc *scan) process(pid string, f func(link []byte)) {
	dir, err := unix.Openat(sc.proc, pid+"/fd", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(dir)
	var names []string
	for {
		n, err := unix.Getdents(dir, sc.buf)
		if err != nil || n <= 0 {
			return
		}
		_, _, names = unix.ParseDirent(sc.buf[:n], -1, names[:0])
		for _, name := range names {
			n, err := unix.Readlinkat(dir, name, sc.link)
			if err == nil {
				f(sc.link[:n])
			} else if errors.Is(err, unix.EACCES) {
				return // all of them, then
			}
		}
	}
}

// commOf is a process's name.
func commOf(pid int) string {
	b, err := procfs.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return "?"
	}
	return strings.TrimSuffix(string(b), "\n")
}
