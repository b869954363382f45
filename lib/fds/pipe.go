package fds

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"floe/lib/cli"
	"floe/lib/image"
	"floe/lib/kabi"
	"floe/lib/record"
)

// pipeKind is the kind of pipes and fifos. What is in them: see pipedata.go.
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

func (pipeKind) save(c *collector, d *desc) error {
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
		if e.info.flags&unix.O_PATH != 0 {
			continue // that is its name
		}
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
	if err := p.checkLarge(d); err != nil {
		return err
	}
	p.rec = &record.Pipe{PipeId: uint64(len(c.pipes)), Uid: d.stat.Uid, Gid: d.stat.Gid, Mode: d.stat.Mode}
	return c.savePipe(p, d)
}

// checkLarge makes sure that all ends but those that pipe(2) made have O_LARGEFILE,
// as those have that a 64-bit program opens.
func (p *pipeObject) checkLarge(d *desc) error {
	var small [2]int
	for i, ends := range [][]*desc{p.readers, p.writers} {
		for _, e := range ends {
			if e.info.flags&kabi.O_LARGEFILE != 0 {
				continue
			}
			if small[i]++; small[i] > 1 || !isAnon(d.link) || e.info.access() == unix.O_RDWR {
				return e.refuse("", "%s that was opened without O_LARGEFILE, as 32-bit programs do,", pipeName(e))
			}
		}
	}
	return nil
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
	p := []unix.PollFd{{Fd: int32(fd), Events: event}}
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

func (pipeKind) opens(_ *image.Image, o *record.OpenFile) bool { return o.GetPipe() != nil }

// madePipe is a pipe in the making: a descriptor each way, which hold it until
// every end is open.
type madePipe struct {
	rec         *record.Pipe
	file        *record.File // of a fifo
	read, write int          // -1: none
	given       [2]bool      // read and write are ends of the tree's
}

func (m *madePipe) close() {
	for _, fd := range []int{m.read, m.write} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// open opens one more end of a pipe.
func (pipeKind) open(s *Set, o *record.OpenFile) (int, error) {
	end := o.GetPipe()
	m, err := s.pipe(end.PipeId)
	if err != nil {
		return -1, err
	}
	fd, err := m.end(s, o)
	if err != nil {
		return -1, fmt.Errorf("opening an end of pipe %d: %w", end.PipeId, err)
	}
	return fd, nil
}

// end opens an end. Those that pipe(2) made have no O_LARGEFILE, which any open(2)
// sets, of /dev/stdin for one.
func (m *madePipe) end(s *Set, o *record.OpenFile) (int, error) {
	access := int(o.Flags) & unix.O_ACCMODE
	if o.Flags&kabi.O_LARGEFILE == 0 && m.file == nil && access != unix.O_RDWR {
		fd := []int{unix.O_RDONLY: m.read, unix.O_WRONLY: m.write}[access]
		if m.given[access] {
			return -1, fmt.Errorf("a pipe has one such end that pipe(2) made")
		}
		m.given[access] = true
		return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	}
	// O_NONBLOCK: a fifo whose other end nobody has must not be waited for.
	flags := openFlags(o)&^(settable|unix.O_ASYNC) | unix.O_NONBLOCK
	if flags&unix.O_NOFOLLOW != 0 && m.file != nil {
		return openChecked(m.file, flags, s.checks())
	}
	return reopen(m.base(access), flags)
}

func (m *madePipe) base(access int) int {
	if access == unix.O_WRONLY && m.write >= 0 || m.read < 0 {
		return m.write
	}
	return m.read
}

// pipe makes a pipe of the image when it is asked for first, and fills it.
func (s *Set) pipe(id uint64) (*madePipe, error) {
	if m, ok := s.pipes[id]; ok {
		return m, nil
	}
	rec := s.im.Pipes[id]
	if rec == nil {
		return nil, fmt.Errorf("pipe %d is not in the image", id)
	}
	m := &madePipe{rec: rec, read: -1, write: -1}
	var err error
	if rec.FifoFile != 0 {
		err = s.openFifo(m)
	} else {
		err = newPipe(m)
	}
	if err == nil {
		err = m.fill(s.im.PipeData(id))
	}
	if err != nil {
		m.close()
		return nil, fmt.Errorf("pipe %d: %w", id, err)
	}
	s.pipes[id] = m
	return m, nil
}

// newPipe makes an anonymous pipe that belongs to who it belonged to: tasks
// that are not root's may open it again through /proc (/dev/stdout, /dev/fd).
func newPipe(m *madePipe) error {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	m.read, m.write = p[0], p[1]
	var st unix.Stat_t
	if err := unix.Fstat(p[0], &st); err != nil {
		return err
	}
	if st.Uid != m.rec.Uid || st.Gid != m.rec.Gid {
		if err := unix.Fchown(p[0], int(m.rec.Uid), int(m.rec.Gid)); err != nil {
			return fmt.Errorf("chown to %d:%d: %w", m.rec.Uid, m.rec.Gid, err)
		}
	}
	return nil
}

// checks are how closely files are checked that are not mapped.
func (s *Set) checks() checks { return checks{sameBoot: s.sameBoot, force: s.opt.ForceFiles} }

// openFifo opens a fifo both ways, so that no end has to wait for another.
func (s *Set) openFifo(m *madePipe) error {
	f, err := s.file(m.rec.FifoFile)
	if err != nil {
		return err
	}
	if f.Mode&unix.S_IFMT != unix.S_IFIFO {
		return fmt.Errorf("%s: it is %s in the image", f.Path, formatName(f.Mode))
	}
	m.file = f
	ck := s.checks()
	if err := nobodyElse(f, ck); err != nil {
		return err
	}
	if m.read, err = openChecked(f, unix.O_RDWR|unix.O_NONBLOCK, ck); err == nil {
		m.write, err = reopen(m.read, unix.O_WRONLY)
	}
	return err
}

// nobodyElse makes sure that no other process has a fifo open. One that reads
// would get what belongs to the tree, and one that writes would keep it there if
// the tree came to nothing.
func nobodyElse(f *record.File, ck checks) error {
	const hint = "; end that one, or restore where it does not run"
	fd, err := openChecked(f, unix.O_WRONLY|unix.O_NONBLOCK, ck)
	if err == nil {
		unix.Close(fd)
		return fmt.Errorf("%s: another process reads it%s", f.Path, hint)
	}
	if !errors.Is(err, unix.ENXIO) { // nobody reads
		return err
	}
	if fd, err = openChecked(f, unix.O_RDONLY|unix.O_NONBLOCK, ck); err != nil {
		return err
	}
	defer unix.Close(fd)
	look, err := scratchPipe(pageSize)
	if err != nil {
		return err
	}
	defer look.close()
	n, err := unix.Tee(fd, look.write, 1, spliceNonblock) // a read that takes nothing
	switch {
	case errors.Is(err, unix.EAGAIN):
		return fmt.Errorf("%s: another process writes it%s", f.Path, hint)
	case err != nil:
		return fmt.Errorf("%s: %w", f.Path, err)
	case n > 0: // kept by one that has it open
		return fmt.Errorf("%s: another process has it open and has written into it%s", f.Path, hint)
	}
	return nil
}

// finish runs when the pipes are held by their ends alone.
func (pipeKind) finish(s *Set, o *record.OpenFile, fd int) error {
	end := o.GetPipe()
	if s.im.Pipes[end.PipeId].GetFifoFile() != 0 && !end.HungUp && !s.uses.written[end.PipeId] {
		// A reader that is opened while nobody writes does not poll as hung up.
		idle, err := s.pipeAgain(fd, o)
		if err != nil {
			return fmt.Errorf("opening a fifo again: %w", err)
		}
		defer unix.Close(idle)
		if err := unix.Dup3(idle, fd, unix.O_CLOEXEC); err != nil {
			return fmt.Errorf("dup3: %w", err)
		}
	}
	return setStatus(fd, o.Flags)
}

// pipeAgain opens an end of a fifo once more.
func (s *Set) pipeAgain(fd int, o *record.OpenFile) (int, error) {
	f, err := s.file(s.im.Pipes[o.GetPipe().PipeId].FifoFile)
	if err != nil {
		return -1, err
	}
	m := &madePipe{file: f, read: fd, write: -1}
	return m.end(s, o)
}

func (pipeKind) check(s *Set, o *record.OpenFile) error {
	if id := o.GetPipe().PipeId; s.im.Pipes[id] == nil {
		return fmt.Errorf("it is an end of pipe %d, which is not in the image", id)
	}
	return nil
}

func (pipeKind) show(im *image.Image, o *record.OpenFile) string {
	e := o.GetPipe()
	text := fmt.Sprintf("pipe %d, %s end", e.PipeId, []string{"read", "write", "either", "no"}[o.Flags&unix.O_ACCMODE])
	p := im.Pipes[e.PipeId]
	if p == nil {
		return text + ", which is not there"
	}
	if p.FifoFile != 0 {
		text += fmt.Sprintf(" of fifo %s", im.File(p.FifoFile).GetPath())
	}
	if n := im.PipeBytes(e.PipeId); n > 0 {
		text += fmt.Sprintf(", %s of %s in it", cli.Bytes(uint64(n)), cli.Bytes(uint64(p.Capacity)))
	}
	if n := len(p.Packets); n > 0 {
		text += ", in " + cli.Count(n, "packet")
	} else if n := len(p.Buffers); n > 0 {
		text += ", in " + cli.Count(n, "buffer")
	}
	if e.HungUp {
		text += ", hung up"
	}
	return text
}
