package fds

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/record"
)

func (pipeKind) opens(o *record.OpenFile, _ *Set) bool { return o.GetPipe() != nil }

// madePipe is a pipe in the making: a descriptor each way, which hold it until
// every end is open.
type madePipe struct {
	rec         *record.Pipe
	read, write int // -1: none
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
	access := int(o.Flags) & unix.O_ACCMODE
	// O_NONBLOCK: a fifo whose other end nobody has must not be waited for.
	fd, err := reopen(m.base(access), access|unix.O_NONBLOCK)
	if err != nil {
		return -1, fmt.Errorf("opening an end of pipe %d: %w", end.PipeId, err)
	}
	return fd, nil
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

// openFifo opens a fifo both ways, so that no end has to wait for another.
func (s *Set) openFifo(m *madePipe) error {
	f, err := s.file(m.rec.FifoFile)
	if err != nil {
		return err
	}
	if f.Mode&unix.S_IFMT != unix.S_IFIFO {
		return fmt.Errorf("%s: it is %s in the image", f.Path, formatName(f.Mode))
	}
	ck := checks{sameBoot: s.sameBoot, force: s.opt.ForceFiles}
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

// fill sets a pipe's size and writes what was in it.
func (m *madePipe) fill(data []byte) error {
	if m.rec.Capacity > 0 {
		if _, err := unix.FcntlInt(uintptr(m.write), unix.F_SETPIPE_SZ, int(m.rec.Capacity)); err != nil {
			return fmt.Errorf("its size of %d bytes: %w", m.rec.Capacity, err)
		}
	}
	if err := setStatus(m.write, unix.O_NONBLOCK); err != nil {
		return err
	}
	if err := checkBuffers(m.rec, len(data)); err != nil || len(data) == 0 {
		return err
	}
	via, err := scratchPipe(maxBuffer)
	if err != nil {
		return err
	}
	defer via.close()
	list := buffersOf(m.rec, len(data))
	for i, b := range list {
		part := data[:b.size]
		data = data[b.size:]
		// A buffer that comes from another pipe is not added to by the next write;
		// the last one is.
		if i < len(list)-1 {
			err = m.move(via, part, b.packet)
		} else {
			err = m.put(m.write, part, b.packet)
		}
		if err != nil {
			return fmt.Errorf("writing %d bytes: %w", b.size, err)
		}
	}
	return setStatus(m.write, unix.O_NONBLOCK)
}

// move makes a buffer in a pipe of this process's own, and moves it.
func (m *madePipe) move(via scratch, part []byte, packet bool) error {
	if err := m.put(via.write, part, packet); err != nil {
		return err
	}
	for left := len(part); left > 0; {
		n, err := unix.Splice(via.read, nil, m.write, nil, left, spliceNonblock)
		if err != nil {
			return fmt.Errorf("splice: %w", err)
		}
		left -= int(n)
	}
	return nil
}

// put writes a buffer.
func (m *madePipe) put(fd int, part []byte, packet bool) error {
	flags := uint32(unix.O_NONBLOCK)
	if packet {
		flags |= unix.O_DIRECT
	}
	if err := setStatus(fd, flags); err != nil {
		return err
	}
	return writeAll(fd, part)
}

func writeAll(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// finish runs when the pipes are held by their ends alone.
func (pipeKind) finish(s *Set, o *record.OpenFile, fd int) error {
	end := o.GetPipe()
	if s.im.Pipes[end.PipeId].GetFifoFile() != 0 && !end.HungUp && !s.uses.written[end.PipeId] {
		// A reader that is opened while nobody writes does not poll as hung up.
		idle, err := reopen(fd, unix.O_RDONLY|unix.O_NONBLOCK)
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
