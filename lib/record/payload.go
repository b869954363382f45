package record

import (
	"bufio"
	"io"

	"floe/lib/crc32c"
)

// Payload reads what is left of the payload of the frame that Next returned
// last, and verifies it. The bytes are valid until the next call.
func (r *Reader) Payload() ([]byte, error) {
	if cap(r.payload) < int(r.left) {
		r.payload = nil // before the new one is there
		r.payload = make([]byte, r.left)
	}
	b := r.payload[:r.left]
	if _, err := io.ReadFull(r.PayloadReader(), b); err != nil {
		return nil, err
	}
	return b, r.err // ReadFull passes over one that comes with the last byte
}

// PayloadReader reads the same piece by piece; its checksum is verified when
// the last byte is read, which then comes with an error.
func (r *Reader) PayloadReader() io.Reader { return (*payloadReader)(r) }

type payloadReader Reader

func (p *payloadReader) Read(b []byte) (int, error) {
	r := (*Reader)(p)
	switch {
	case r.err != nil:
		return 0, r.err
	case r.left == 0:
		return 0, io.EOF
	case uint64(len(b)) > r.left:
		b = b[:r.left]
	}
	n, err := r.r.Read(b)
	return n, r.took(b[:n], err)
}

// took accounts for payload bytes that were read, and for the error that came
// with them.
func (r *Reader) took(b []byte, err error) error {
	r.pcrc = crc32c.Update(r.pcrc, b)
	r.left -= uint64(len(b))
	r.off += int64(len(b))
	switch {
	case err != nil:
		r.err = r.broken(err, 0)
	case r.left == 0 && r.pcrc != r.want:
		r.off = r.current.off
		r.err = r.damaged("the payload of the %s record does not match its checksum", kindName(r.current.body))
	}
	return r.err
}

// skip reads what is left of a payload, and verifies it.
func (r *Reader) skip() error {
	for r.left > 0 {
		n := int(min(r.left, uint64(r.r.Size())))
		if k := r.r.Buffered(); k > 0 {
			n = min(n, k)
		}
		b, err := r.r.Peek(n)
		if err := r.took(b, err); err != nil {
			return err
		}
		if _, err := r.r.Discard(len(b)); err != nil {
			return r.broken(err, 0)
		}
	}
	return nil
}

// skipBuffer is the read-ahead once payloads are skipped: what is read ahead is
// mostly thrown away then.
const skipBuffer = 8 << 10

// Consumed is how many bytes of the stream have been read from the underlying
// reader, buffered ones included: a file's offset less this is where the
// stream starts in the file.
func (r *Reader) Consumed() int64 { return r.off + int64(r.r.Buffered()) }

// SkipPayload passes over what is left of the payload of the frame that Next
// returned last, without reading it: the caller reads it from PayloadOffset on
// and verifies it against Record.payload_crc32c. f is the underlying reader.
func (r *Reader) SkipPayload(f io.ReadSeeker) error {
	n := int64(r.left)
	buffered := min(n, int64(r.r.Buffered()))
	if _, err := r.r.Discard(int(buffered)); err != nil {
		return err
	}
	if n > buffered {
		if _, err := f.Seek(n-buffered, io.SeekCurrent); err != nil {
			return err
		}
		if r.r.Size() > skipBuffer {
			r.r = bufio.NewReaderSize(f, skipBuffer)
		}
	}
	r.left = 0
	r.off += n
	return nil
}
