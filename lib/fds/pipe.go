package fds

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"floe/lib/record"
)

// pipeKind is the kind of pipes and fifos: at restore in pipeopen.go.
type pipeKind struct{}

// pipeObject is one pipe, and what is known of its ends.
type pipeObject struct {
	readers []*desc // descriptions in the tree that read
	writers []*desc
	outside string // why it leads out of the tree; empty: it doesn't
	rec     *record.Pipe
	err     error // why it can't be saved
}

func (pipeKind) takes(d *desc) bool {
	return d.format() == unix.S_IFIFO && d.info.flags&unix.O_PATH == 0
}

func (pipeKind) describe(c *collector, d *desc) error {
	p, err := c.pipe(d)
	if err != nil {
		return err
	}
	if p.outside != "" {
		if len(c.stdio(d)) == 0 {
			return d.refuse("close it, or checkpoint a tree that has all of it", "%s %s", pipeName(d), p.outside)
		}
		c.external(d, false)
		return nil
	}
	end := &record.OpenFile_PipeEnd{PipeId: p.rec.PipeId}
	if len(p.writers) == 0 {
		if end.HungUp, err = c.polls(d, unix.POLLHUP); err != nil {
			return err
		}
	}
	d.rec.Object = &record.OpenFile_Pipe{Pipe: end}
	return nil
}

func pipeName(d *desc) string {
	if isAnon(d.link) {
		return "a " + d.link
	}
	return fmt.Sprintf("a fifo (%s)", strings.TrimSuffix(d.link, deletedSuffix))
}

// pipe is the pipe that d is an end of. Seen for the first time, it is looked
// at as a whole, and saved when it is the tree's alone.
func (c *collector) pipe(d *desc) (*pipeObject, error) {
	key := d.object()
	p, ok := c.pipes[key]
	if !ok {
		p = &pipeObject{}
		c.pipes[key] = p
		p.err = c.lookAt(p, d)
	}
	return p, p.err
}

func (c *collector) lookAt(p *pipeObject, d *desc) error {
	key := d.object()
	for _, e := range c.byObject[key] {
		if e.info.reads() {
			p.readers = append(p.readers, e)
		}
		if e.info.writes() {
			p.writers = append(p.writers, e)
		}
	}
	if err := c.leadsOut(p, d); err != nil || p.outside != "" {
		return err
	}
	p.rec = &record.Pipe{PipeId: uint64(len(c.pipes)), Uid: d.stat.Uid, Gid: d.stat.Gid, Mode: d.stat.Mode}
	return c.savePipe(p, d)
}

// leadsOut decides whether somebody outside of the tree has to do with a pipe.
// An end that nobody in the tree has may be closed, which the other end tells,
// whoever might have it; who else has the ends that are in the tree is seen in
// /proc only.
func (c *collector) leadsOut(p *pipeObject, d *desc) error {
	open, other := false, ""
	var err error
	switch {
	case len(p.readers) == 0:
		var none bool
		none, err = c.polls(d, unix.POLLERR)
		open, other = !none, "read"
	case len(p.writers) == 0 && isAnon(d.link):
		var none bool
		none, err = c.polls(d, unix.POLLHUP)
		open, other = !none, "write"
	}
	if err != nil {
		return err
	}
	if open && len(c.stdio(d)) > 0 {
		p.outside = fmt.Sprintf("whose %s end is outside of the tree", other)
		return nil // the caller's, whoever that is: no need to look for it
	}
	h, found, err := c.holderOf(d)
	if err != nil {
		return err
	}
	switch {
	case open && found:
		p.outside = fmt.Sprintf("whose %s end is outside of the tree, in task %d (%s),", other, h.pid, h.comm)
	case open:
		p.outside = fmt.Sprintf("whose %s end is outside of the tree", other)
	case found && len(p.readers) > 0 && len(p.writers) > 0:
		return d.refuse("end that one, or checkpoint a tree that has it too", "%s that task %d (%s), outside of the tree, has open too,", pipeName(d), h.pid, h.comm)
	case found:
		p.outside = fmt.Sprintf("that task %d (%s), outside of the tree, has open too,", h.pid, h.comm)
	}
	return nil
}

// polls tells whether poll(2) reports an event for a description.
func (c *collector) polls(d *desc, event int16) (bool, error) {
	fd, err := c.dup(d)
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	p := []unix.PollFd{{Fd: int32(fd)}}
	if _, err := unix.Poll(p, 0); err != nil {
		return false, fmt.Errorf("poll: %w", err)
	}
	return p[0].Revents&event != 0, nil
}

// savePipe adds a pipe's record, with what is in it.
func (c *collector) savePipe(p *pipeObject, d *desc) error {
	if !isAnon(d.link) && d.stat.Nlink > 0 {
		// A fifo without a name is nothing but a pipe, and comes back as one.
		what, hint := c.reachable(d.link, &d.stat)
		if what != "" {
			return d.refuse(hint, "%s", what)
		}
		id, err := c.file(d.link, &d.stat)
		if err != nil {
			return err
		}
		p.rec.FifoFile = id
	}
	fd, err := c.dup(d)
	if err != nil {
		return err
	}
	size, err := unix.FcntlInt(uintptr(fd), unix.F_GETPIPE_SZ, 0)
	unix.Close(fd)
	if err != nil {
		return fmt.Errorf("size of the pipe: %w", err)
	}
	p.rec.Capacity = uint32(size)
	data, err := c.contents(p, d, size)
	if err != nil {
		return fmt.Errorf("contents of the pipe: %w", err)
	}
	return c.tree.Add(&record.Record{Body: &record.Record_Pipe{Pipe: p.rec}}, data)
}
