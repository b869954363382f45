package pages

import (
	"github.com/pierrec/lz4/v4"

	"floe/lib/crc32c"
	"floe/lib/record"
)

// owner says whose pages a record has: an address space's (mm) or a shared
// object's.
type owner struct{ mm, shmem uint64 }

// source is where the bytes of pages are read from.
type source interface {
	// read fills buf with the runs' bytes, at most BlockSize of them.
	read(v *iovecs, runs []Run, buf []byte) error
	// A source closes when done has been called once more than hold. A block
	// holds its source.
	hold()
	done()
}

// block is one piece of work: pages of one owner, in order of address.
type block struct {
	seq   uint64 // position in the stream
	owner owner
	src   source
	runs  []Run // to be read, at most BlockPages pages
	known []Run // known to be zero
	guard []Run
}

// packed is what a worker made of a block's pages.
type packed struct {
	data     []Run // contents of the payload
	zero     []Run
	payload  []byte
	crc      uint32 // CRC-32C of the payload
	encoding record.Pages_Encoding
}

// piecePages is how much of a block is read at a time: what was read is looked
// at while the processor's own cache still has it.
const piecePages = 64

// packer is what one worker has to itself.
type packer struct {
	compress bool
	iov      iovecs
	spare    []byte          // when compressing: for the compressed bytes
	lz       *lz4.Compressor // which is large
}

// sized is buf, or one in its place that has room for n bytes of a block.
func sized(buf []byte, n uint64) []byte {
	const least = 64 << 10
	if uint64(cap(buf)) >= n {
		return buf[:cap(buf)]
	}
	size := uint64(least)
	for size < n {
		size *= 2
	}
	return make([]byte, size)
}

// pack reads a block's pages into buf, takes those out that are zero,
// compresses the rest when that is wanted and worth it, and makes the checksum.
// What it returns refers to the buffer that is returned; buf is no longer the
// caller's.
func (p *packer) pack(b *block, buf []byte) (packed, []byte, error) {
	if len(b.runs) == 0 {
		return packed{}, buf, nil
	}
	buf = sized(buf, countPages(b.runs)*PageSize)
	n, out := 0, packed{encoding: record.Pages_RAW}
	for rest := b.runs; len(rest) > 0; {
		var piece []Run
		piece, rest = cutRuns(rest, piecePages)
		got := buf[n : n+int(countPages(piece)*PageSize)]
		if err := b.src.read(&p.iov, piece, got); err != nil {
			return packed{}, buf, err
		}
		var k int
		k, out.data, out.zero = splitZero(got, piece, out.data, out.zero)
		out.crc = crc32c.Update(out.crc, got[:k])
		n += k
	}
	out.payload = buf[:n]
	if c := p.squeeze(out.payload); c != nil {
		out.payload, out.encoding, out.crc = c, record.Pages_LZ4, crc32c.Checksum(c)
		p.spare, buf = buf, p.spare
	}
	return out, buf, nil
}

// squeeze is src as one lz4 block; nil if it isn't wanted or doesn't save a
// sixteenth.
func (p *packer) squeeze(src []byte) []byte {
	if !p.compress || len(src) == 0 {
		return nil
	}
	p.spare = sized(p.spare, uint64(len(src)))
	if p.lz == nil {
		p.lz = new(lz4.Compressor)
	}
	n, err := p.lz.CompressBlock(src, p.spare[:len(src)-len(src)/16])
	if err != nil || n == 0 {
		return nil // it would not have fitted
	}
	return p.spare[:n]
}
