package fds

import (
	"fmt"

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
