package fds

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"floe/lib/kabi"
	"floe/lib/record"
)

// table is one descriptor table, and the first task that has it.
type table struct {
	id    uint64
	task  *record.Task
	slots []*slot // in order of number
}

// slot is one descriptor of a table.
type slot struct {
	table   *table
	fd      int32
	cloexec bool
	desc    *desc
	openID  uint64
}

// desc is one open file description.
type desc struct {
	slots []*slot // who has it; never empty
	link  string  // as readlink(2) shows it
	stat  status
	info  *fdinfo
	kind  kind
	rec   *record.OpenFile
}

func (d *desc) id() uint64 { return d.rec.OpenId }

// format is the file type of st_mode. Anonymous inodes of newer kernels look
// like regular files: link tells them.
func (d *desc) format() uint32 { return d.stat.Mode & unix.S_IFMT }

// status is what is used of a struct stat. There may be very many of them.
type status struct {
	Dev, Ino, Nlink, Rdev uint64
	Mode, Uid, Gid        uint32
	Size                  int64
	Mtim                  unix.Timespec
}

func statusOf(st *unix.Stat_t) status {
	return status{st.Dev, st.Ino, uint64(st.Nlink), st.Rdev, st.Mode, st.Uid, st.Gid, st.Size, st.Mtim}
}

// gather reads every descriptor table of the tree.
func (c *collector) gather(tasks []*record.Task) error {
	seen := map[uint64]bool{}
	for _, t := range tasks {
		if t.State == record.Task_ZOMBIE {
			continue
		}
		if err := sharedByThreads(t); err != nil {
			return err
		}
		if seen[t.FilesId] {
			continue
		}
		seen[t.FilesId] = true
		tab := &table{id: t.FilesId, task: t}
		c.tables = append(c.tables, tab)
		if err := c.gatherTable(tab); err != nil {
			return fmt.Errorf("task %d (%s): %w", t.Pid, t.Comm, err)
		}
	}
	return nil
}

// sharedByThreads makes sure that a process has one descriptor table and one
// set of directories.
func sharedByThreads(t *record.Task) error {
	for _, tid := range t.Tids {
		if tid == t.Pid {
			continue
		}
		for what, name := range map[int]string{kabi.KCMP_FILES: "descriptor table", kabi.KCMP_FS: "working directory"} {
			switch r, err := kcmp(t.Pid, tid, what, 0, 0); {
			case err != nil:
				return fmt.Errorf("task %d (%s): kcmp with thread %d: %w", t.Pid, t.Comm, tid, err)
			case r != kcmpSame:
				return &Refusal{Pid: t.Pid, Comm: t.Comm, Fd: -1, What: fmt.Sprintf("thread %d, which has a %s of its own,", tid, name), Hint: "end the thread first"}
			}
		}
	}
	return nil
}

func (c *collector) gatherTable(tab *table) error {
	dir, err := openFDDirs(tab.task.Pid)
	if err != nil {
		return err
	}
	defer dir.close()
	numbers, err := dir.numbers()
	if err != nil {
		return err
	}
	for _, n := range numbers {
		s := &slot{table: tab, fd: n}
		tab.slots = append(tab.slots, s)
		if err := c.gatherSlot(dir, s); err != nil {
			return fmt.Errorf("fd %d: %w", n, err)
		}
	}
	return nil
}

// gatherSlot reads one descriptor and finds its description, or makes it.
func (c *collector) gatherSlot(dir *fdDirs, s *slot) error {
	c.tree.Step()
	d := &desc{slots: []*slot{s}}
	var err error
	if d.link, err = dir.link(s.fd); err != nil {
		return err
	}
	d.link = c.oneOf(d.link)
	var st unix.Stat_t
	if err := dir.stat(s.fd, &st); err != nil {
		return err
	}
	d.stat = statusOf(&st)
	if d.info, err = dir.info(s.fd); err != nil {
		return err
	}
	s.cloexec = d.info.cloexec
	for _, l := range d.info.rest {
		if l.key == "lock" {
			c.held[s] = append(c.held[s], l)
		}
	}
	return c.share(d)
}

// maxLinks bounds the names that are kept once.
const maxLinks = 4096

// oneOf is the same name, in memory that others of it share.
func (c *collector) oneOf(link string) string {
	if known, ok := c.links[link]; ok {
		return known
	}
	if len(c.links) < maxLinks {
		c.links[link] = link
	}
	return link
}

// object identifies what a description is a description of. Anonymous inodes
// share one inode number, so their name goes with it.
type object struct {
	dev, ino uint64
	anon     string
}

func (d *desc) object() object {
	o := object{dev: d.stat.Dev, ino: d.stat.Ino}
	if isAnon(d.link) {
		o.anon = d.link
	}
	return o
}

// share finds the description that d's only slot refers to among those known,
// by kcmp(2), whose order makes that a binary search; d is added when it is new.
func (c *collector) share(d *desc) error {
	s := d.slots[0]
	known := c.byObject[d.object()]
	var failed error
	at, found := slices.BinarySearchFunc(known, s, func(k *desc, s *slot) int {
		r, err := compare(k.slots[0], s)
		if err != nil {
			failed = errors.Join(failed, err)
		}
		return r
	})
	if failed != nil {
		return failed
	}
	if found {
		s.desc = known[at]
		s.desc.slots = append(s.desc.slots, s)
		return nil
	}
	s.desc = d
	c.nextOpen++
	d.rec = &record.OpenFile{OpenId: c.nextOpen, Flags: d.info.flags, Pos: d.info.pos}
	d.kind = kindOf(d)
	c.descs = append(c.descs, d)
	c.byObject[d.object()] = slices.Insert(known, at, d)
	return nil
}

// byID is the description with an open_id; nil for one that another has become
// besides (see external).
func (c *collector) byID(id uint64) *desc {
	if id == 0 || id > uint64(len(c.descs)) {
		return nil
	}
	return c.descs[id-1] // share numbers them as it finds them, from 1
}

// compare orders two descriptors by their descriptions; 0: the same one.
func compare(a, b *slot) (int, error) {
	if a.table == b.table && a.fd == b.fd {
		return 0, nil
	}
	r, err := kcmp(a.table.task.Pid, b.table.task.Pid, kabi.KCMP_FILE, uintptr(a.fd), uintptr(b.fd))
	switch {
	case err != nil:
		return 0, fmt.Errorf("kcmp with fd %d of task %d: %w", a.fd, a.table.task.Pid, err)
	case r == kcmpSame:
		return 0, nil
	case r == kcmpLess:
		return -1, nil
	case r == kcmpGreater:
		return 1, nil
	}
	return 0, fmt.Errorf("kcmp with fd %d of task %d: unordered", a.fd, a.table.task.Pid)
}
