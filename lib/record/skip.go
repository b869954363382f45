package record

import (
	"bufio"
	"io"
)

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
