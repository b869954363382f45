package image

import (
	"bytes"
	"encoding/binary"
	"runtime"

	"golang.org/x/sys/unix"
)

// arena keeps encoded records, less their runs of zeros, outside of Go's heap:
// the collector of garbage would set as much memory aside again as they take.
// Nothing is ever taken out of it.
type arena struct {
	chunks *chunks
	free   []byte // of the last chunk
}

// chunks are mappings, each of its records in a row.
type chunks struct{ list [][]byte }

// chunkBytes is the size of a chunk, but for a record that is larger.
const chunkBytes = 1 << 20

func newArena() *arena {
	a := &arena{chunks: &chunks{}}
	runtime.AddCleanup(a, (*chunks).unmap, a.chunks)
	return a
}

func (c *chunks) unmap() {
	for _, b := range c.list {
		_ = unix.Munmap(b)
	}
}

// place is where bytes are in an arena: the number of the chunk, and where they
// start in it.
type place uint64

const placeBits = 32

// add keeps b, and returns how many bytes that takes.
func (a *arena) add(b []byte) (place, int, error) {
	squeezed := squeeze(nil, b)
	n := len(squeezed) + binary.MaxVarintLen64
	if n > len(a.free) {
		chunk, err := unix.Mmap(-1, 0, max(n, chunkBytes), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
		if err != nil {
			return 0, 0, err
		}
		a.chunks.list = append(a.chunks.list, chunk)
		a.free = chunk
	}
	last := len(a.chunks.list) - 1
	at := place(last<<placeBits | (len(a.chunks.list[last]) - len(a.free)))
	n = binary.PutUvarint(a.free, uint64(len(squeezed)))
	n += copy(a.free[n:], squeezed)
	a.free = a.free[n:]
	return at, n, nil
}

// get is a copy of what add was given.
func (a *arena) get(at place) []byte {
	b := a.chunks.list[at>>placeBits][at&(1<<placeBits-1):]
	n, k := binary.Uvarint(b)
	out := expand(b[k : k+int(n)])
	runtime.KeepAlive(a)
	return out
}

// zeros is the shortest run of zeros that it is worth to leave out.
var zeros = make([]byte, 4)

// squeeze appends b to out with its runs of zeros left out: in turn a number of
// bytes, these bytes, and a number of zeros.
func squeeze(out, b []byte) []byte {
	for len(b) > 0 {
		n := bytes.Index(b, zeros)
		if n < 0 {
			n = len(b)
		}
		end := n
		for end < len(b) && b[end] == 0 {
			end++
		}
		out = binary.AppendUvarint(out, uint64(n))
		out = append(out, b[:n]...)
		out = binary.AppendUvarint(out, uint64(end-n))
		b = b[end:]
	}
	return out
}

// expand undoes squeeze.
func expand(b []byte) []byte {
	total := 0
	each(b, func(part []byte, zeros int) { total += len(part) + zeros })
	out := make([]byte, total)
	at := 0
	each(b, func(part []byte, zeros int) { at += copy(out[at:], part) + zeros })
	return out
}

// each calls f with the parts of what squeeze made.
func each(b []byte, f func(part []byte, zeros int)) {
	for len(b) > 0 {
		n, k := binary.Uvarint(b)
		part := b[k : k+int(n)]
		b = b[k+int(n):]
		zeros, k := binary.Uvarint(b)
		b = b[k:]
		f(part, int(zeros))
	}
}
