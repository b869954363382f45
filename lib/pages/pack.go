package pages

import (
	"hash/crc32"

	"github.com/pierrec/lz4/v4"

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
	zero  []Run // known to be zero
	guard []Run
}

// packed is what a worker made of a block. It refers to the worker's buffers.
type packed struct {
	data     []Run // contents of the payload
	zero     []Run
	payload  []byte
	crc      uint32 // CRC-32C of the payload
	encoding record.Pages_Encoding
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// packer is one worker's buffers.
type packer struct {
	compress   bool
	iov        iovecs
	buf, lzbuf []byte
	data, zero []Run
	lz         lz4.Compressor
}

// pack reads a block's pages, takes those out that are zero, compresses the
// rest when that is wanted and worth it, and makes the checksum.
func (p *packer) pack(b *block) (packed, error) {
	size := int(countPages(b.runs) * PageSize)
	if size == 0 {
		return packed{}, nil
	}
	if len(p.buf) < size {
		p.buf = make([]byte, BlockSize)
	}
	if err := b.src.read(&p.iov, b.runs, p.buf[:size]); err != nil {
		return packed{}, err
	}
	n, data, zero := splitZero(p.buf[:size], b.runs, p.data[:0], p.zero[:0])
	p.data, p.zero = data, zero
	out := packed{data: data, zero: zero, payload: p.buf[:n], encoding: record.Pages_RAW}
	if c := p.squeeze(out.payload); c != nil {
		out.payload, out.encoding = c, record.Pages_LZ4
	}
	out.crc = crc32.Checksum(out.payload, castagnoli)
	return out, nil
}

// squeeze is src as one lz4 block; nil if it isn't wanted or doesn't save a
// sixteenth.
func (p *packer) squeeze(src []byte) []byte {
	if !p.compress || len(src) == 0 {
		return nil
	}
	if p.lzbuf == nil {
		p.lzbuf = make([]byte, BlockSize)
	}
	n, err := p.lz.CompressBlock(src, p.lzbuf[:len(src)-len(src)/16])
	if err != nil || n == 0 {
		return nil // it would not have fitted
	}
	return p.lzbuf[:n]
}
