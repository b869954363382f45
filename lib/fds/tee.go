package fds

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/record"
)

// contents copies what is in a pipe, and leaves it there. In packet mode it
// also notes the packets' sizes.
func (c *collector) contents(p *pipeObject, capacity int) ([]byte, error) {
	from, err := c.dup(p.readers[0])
	if err != nil {
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
		return nil, fmt.Errorf("%d bytes are waiting in it, more than %d", waiting, record.MaxPayload)
	}
	var own [2]int
	if err := unix.Pipe2(own[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, fmt.Errorf("pipe: %w", err)
	}
	defer unix.Close(own[0])
	defer unix.Close(own[1])
	// As many slots as it has: tee copies slots, however full they are.
	if _, err := unix.FcntlInt(uintptr(own[1]), unix.F_SETPIPE_SZ, capacity); err != nil {
		return nil, fmt.Errorf("a pipe of %d bytes: %w", capacity, err)
	}
	const nonblock = 2 // SPLICE_F_NONBLOCK
	n, err := unix.Tee(from, own[1], waiting, nonblock)
	if err != nil {
		return nil, fmt.Errorf("tee: %w", err)
	}
	if int(n) != waiting {
		return nil, fmt.Errorf("tee copied %d of %d bytes", n, waiting)
	}
	data := make([]byte, waiting)
	return data, drain(own[0], data, p)
}

// drain reads the copy. A read ends where a packet ends.
func drain(fd int, data []byte, p *pipeObject) error {
	packets := packetMode(p)
	for got := 0; got < len(data); {
		n, err := unix.Read(fd, data[got:])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n <= 0 {
			return fmt.Errorf("read of the copy: %w", err)
		}
		got += n
		if packets {
			p.rec.Packets = append(p.rec.Packets, uint32(n))
		}
	}
	return nil
}

// packetMode tells whether an end writes packets (O_DIRECT).
func packetMode(p *pipeObject) bool {
	for _, w := range p.writers {
		if w.info.flags&unix.O_DIRECT != 0 {
			return true
		}
	}
	return false
}
