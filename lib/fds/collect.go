package fds

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"floe/lib/clocks"
	"floe/lib/record"
)

// Tree is what CollectTree works on: tasks that don't run, whose parents come
// before their children.
type Tree struct {
	Tasks []*record.Task // Pid, Comm, State, Tids, FilesId, FsId, Umask, HasTty and TtyNr are used
	Clock *record.Clocks // when the tree was frozen; nil: now
	Add   func(rec *record.Record, payload []byte) error
	// Step, if set, is told of each descriptor: a tree may have so many of them that
	// it is long before the first record.
	Step func()
	// Verbosef says what is refused beyond the first refusal; may be nil.
	Verbosef func(format string, args ...any)
}

// firstFile numbers fddump's files apart from vmadump's.
const firstFile = 1 << 32

// collector holds what is known of one tree.
type collector struct {
	tree     *Tree
	clock    *record.Clocks
	tables   []*table
	descs    []*desc
	byObject map[object][]*desc // each list in kcmp's order
	nextOpen uint64
	files    map[fileKey]uint64
	pipes    map[object]*pipeObject
	extra    []*record.OpenFile // of descriptions that became several
	locks    []*record.FileLock
	held     map[*slot][]line  // lines of fdinfo: the locks that a table holds through a slot
	links    map[string]string // names that were seen
	pidfds   map[int32]int
	others   map[object]holder // pipes that processes outside of the tree hold
	oneHint  bool              // this kernel has no write hints of descriptions
	refused  refusals
}

// CollectTree adds the records of all that the tree has open.
func CollectTree(t *Tree) error {
	c := &collector{tree: t, clock: t.Clock, byObject: map[object][]*desc{}, files: map[fileKey]uint64{},
		pipes: map[object]*pipeObject{}, pidfds: map[int32]int{}, held: map[*slot][]line{}, links: map[string]string{}}
	defer c.close()
	if t.Step == nil {
		t.Step = func() {}
	}
	if c.clock == nil {
		now, err := clocks.Now()
		if err != nil {
			return err
		}
		c.clock = now
	}
	for _, step := range []func() error{
		func() error { return c.gather(t.Tasks) },
		c.save,
		c.directories,
		func() error { return c.refused.err() },
		c.emit,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// save saves every description, kind by kind.
func (c *collector) save() error {
	for _, k := range kinds {
		for _, d := range c.descs {
			if d.kind != k {
				continue
			}
			c.tree.Step()
			err := k.save(c, d)
			if err == nil {
				err = d.known()
			}
			if err == nil {
				err = c.settings(d)
			}
			if err == nil {
				err = c.fileLocks(d)
			}
			if err := c.note(d, err); err != nil {
				return err
			}
		}
	}
	return nil
}

// note keeps a refusal for the end, so that --verbose can tell all of them.
func (c *collector) note(d *desc, err error) error {
	var r *Refusal
	if errors.As(err, &r) {
		c.keep(r)
		return nil
	}
	if err != nil {
		s := d.slots[0]
		return fmt.Errorf("task %d (%s): fd %d: %w", s.table.task.Pid, s.table.task.Comm, s.fd, err)
	}
	return nil
}

// emit adds what comes after files and pipes: the descriptions, the slots and
// the locks.
func (c *collector) emit() error {
	for _, d := range c.descs {
		if err := c.tree.Add(&record.Record{Body: &record.Record_OpenFile{OpenFile: d.rec}}, nil); err != nil {
			return err
		}
	}
	for _, o := range c.extra {
		if err := c.tree.Add(&record.Record{Body: &record.Record_OpenFile{OpenFile: o}}, nil); err != nil {
			return err
		}
	}
	for _, tab := range c.tables {
		for _, s := range tab.slots {
			fd := &record.Fd{FilesId: tab.id, Fd: s.fd, OpenId: s.id(), Cloexec: s.cloexec}
			if err := c.tree.Add(&record.Record{Body: &record.Record_Fd{Fd: fd}}, nil); err != nil {
				return err
			}
		}
	}
	for _, l := range c.locks {
		if err := c.tree.Add(&record.Record{Body: &record.Record_FileLock{FileLock: l}}, nil); err != nil {
			return err
		}
	}
	return nil
}

// id is the open_id of a slot.
func (s *slot) id() uint64 {
	if s.openID != 0 {
		return s.openID
	}
	return s.desc.id()
}

// dup is a duplicate of a descriptor of a task, in this process.
func (c *collector) dup(d *desc) (int, error) {
	s := d.slots[0]
	pid := s.table.task.Pid
	pfd, ok := c.pidfds[pid]
	if !ok {
		var err error
		if pfd, err = unix.PidfdOpen(int(pid), 0); err != nil {
			return -1, fmt.Errorf("pidfd_open: %w", err)
		}
		c.pidfds[pid] = pfd
	}
	fd, err := unix.PidfdGetfd(pfd, int(s.fd), 0)
	if err != nil {
		return -1, fmt.Errorf("pidfd_getfd: %w", err)
	}
	return fd, nil
}

func (c *collector) close() {
	for _, fd := range c.pidfds {
		unix.Close(fd)
	}
}

// noteTask is note for a refusal that is not about a descriptor.
func (c *collector) noteTask(t *record.Task, err error) error {
	if err == nil {
		return nil
	}
	var r *Refusal
	if errors.As(err, &r) {
		c.keep(r)
		return nil
	}
	return fmt.Errorf("task %d (%s): %w", t.Pid, t.Comm, err)
}

func (c *collector) keep(r *Refusal) {
	if slices.Contains(c.refused, r) {
		return // the other end of a pipe
	}
	if c.tree.Verbosef != nil {
		c.tree.Verbosef("%v", r)
	}
	c.refused = append(c.refused, r)
}
