package fds

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/record"
)

// buffer is one of the kernel's buffers of a pipe.
type buffer struct {
	size   int // bytes
	packet bool
}

// maxBuffer is more than any buffer has: those that come from sockets by
// splice(2) may be larger than a page.
const maxBuffer = 1 << 20

// buffersOf is how the data of a pipe lies in it. An image of an earlier version
// tells packets only.
func buffersOf(p *record.Pipe, data int) []buffer {
	var list []buffer
	switch {
	case len(p.Buffers) > 0:
		for _, b := range p.Buffers {
			list = append(list, buffer{int(b &^ packetBuffer), b&packetBuffer != 0})
		}
	case len(p.Packets) > 0:
		for _, n := range p.Packets {
			list = append(list, buffer{int(n), true})
		}
	case data > 0:
		list = append(list, buffer{data, false})
	}
	return list
}

// checkBuffers checks that a pipe's contents fit into it: each buffer takes a
// page at least, and a packet can't be larger than one.
func checkBuffers(p *record.Pipe, data int) error {
	slots, sum := 0, 0
	for _, b := range buffersOf(p, data) {
		if b.size == 0 || b.packet && b.size > pageSize || b.size > maxBuffer && len(p.Buffers) > 0 {
			return fmt.Errorf("a buffer of %d bytes", b.size)
		}
		slots += (b.size + pageSize - 1) / pageSize
		sum += b.size
	}
	switch {
	case sum != data:
		return fmt.Errorf("%d bytes are in it, and %d in its buffers", data, sum)
	case uint64(slots) > uint64(p.Capacity)/pageSize:
		return fmt.Errorf("%d pages are in it; its size is %d bytes", slots, p.Capacity)
	}
	return nil
}

// contents copies what is in a pipe, and leaves it there. It also notes how the
// bytes lie in the kernel's buffers.
func (c *collector) contents(p *pipeObject, d *desc, capacity int) ([]byte, error) {
	from, err := c.readEnd(p, d)
	if from < 0 || err != nil {
		return nil, err
	}
	defer unix.Close(from)
	waiting, err := unix.IoctlGetInt(from, unix.TIOCINQ)
	if err != nil {
		return nil, fmt.Errorf("FIONREAD: %w", err)
	}
	if waiting == 0 {
		return nil, nil
	}
	if waiting > record.MaxPayload {
		return nil, fmt.Errorf("%d bytes are waiting in it; limit is %d", waiting, record.MaxPayload)
	}
	// As many slots as it has: tee copies slots, however full they are.
	own, err := scratchPipe(capacity)
	if err != nil {
		return nil, err
	}
	defer own.close()
	n, err := unix.Tee(from, own.write, waiting, spliceNonblock)
	if err != nil {
		return nil, fmt.Errorf("tee: %w", err)
	}
	if int(n) != waiting {
		return nil, fmt.Errorf("tee copied %d of %d bytes", n, waiting)
	}
	data := make([]byte, waiting)
	p.rec.Buffers, err = drain(own, data)
	return data, err
}

// readEnd is a descriptor to read a pipe with. In a pipe that nobody can read any
// more there may still be something, which FIONREAD shows; a fifo is not opened
// for that, since somebody may wait for a reader. -1: there is nothing to read.
func (c *collector) readEnd(p *pipeObject, d *desc) (int, error) {
	if len(p.readers) > 0 {
		return c.dup(p.readers[0])
	}
	fd, err := c.dup(d)
	if err != nil {
		return -1, err
	}
	defer unix.Close(fd)
	waiting, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
	switch {
	case err != nil:
		return -1, fmt.Errorf("FIONREAD: %w", err)
	case waiting == 0:
		return -1, nil
	case !isAnon(d.link):
		return -1, d.refuse("", "%s with %d bytes in it that nobody can read", pipeName(d), waiting)
	}
	return reopen(fd, unix.O_RDONLY|unix.O_NONBLOCK)
}

const (
	spliceNonblock = 2 // SPLICE_F_NONBLOCK
	// packetBuffer marks a buffer of record.Pipe as a packet.
	packetBuffer = 1 << 31
	pageSize     = 4096
)

// drain reads a copy of a pipe buffer by buffer. Into a pipe of one slot no more
// than one of them can be moved; and a read ends where a packet ends, though more
// is there.
func drain(from scratch, data []byte) (buffers []uint32, err error) {
	one, err := scratchPipe(pageSize)
	if err != nil {
		return nil, err
	}
	defer one.close()
	two, err := scratchPipe(2 * pageSize)
	if err != nil {
		return nil, err
	}
	defer two.close()
	buf := make([]byte, len(data)+1)
	for got := 0; got < len(data); {
		n, err := unix.Splice(from.read, nil, one.write, nil, len(data), spliceNonblock)
		if err == nil {
			_, err = unix.Splice(one.read, nil, two.write, nil, int(n), spliceNonblock)
		}
		if err == nil {
			_, err = unix.Write(two.write, []byte{0})
		}
		if err != nil || n <= 0 {
			return nil, fmt.Errorf("splice of the copy: %w", err)
		}
		k, err := unix.Read(two.read, buf[:n+1])
		switch {
		case err != nil:
			return nil, fmt.Errorf("read of the copy: %w", err)
		case int64(k) == n: // a packet; what follows it is still there
			buffers = append(buffers, uint32(n)|packetBuffer)
			if _, err := unix.Read(two.read, buf[n:n+1]); err != nil {
				return nil, fmt.Errorf("read of the copy: %w", err)
			}
		default:
			buffers = append(buffers, uint32(n))
		}
		got += copy(data[got:], buf[:n])
	}
	return buffers, nil
}

// scratch is a pipe of this process's own.
type scratch struct{ read, write int }

func scratchPipe(capacity int) (scratch, error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return scratch{}, fmt.Errorf("pipe: %w", err)
	}
	s := scratch{p[0], p[1]}
	if _, err := unix.FcntlInt(uintptr(s.write), unix.F_SETPIPE_SZ, capacity); err != nil {
		s.close()
		return scratch{}, fmt.Errorf("a pipe of %d bytes: %w", capacity, err)
	}
	return s, nil
}

func (s scratch) close() {
	unix.Close(s.read)
	unix.Close(s.write)
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
