package record

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// Frame is one record as it stood in the stream.
type Frame struct {
	Offset        int64  // of the frame, bytes from the stream's start
	Raw           []byte // length and record, as they came
	Record        *Record
	PayloadOffset int64
	Unknown       bool // the record has a body or a field that this version does not know
	body          int32
}

// Encoded is the record as it stood in the stream: protobuf's encoding of it.
func (f *Frame) Encoded() []byte { return f.Raw[len(f.Raw)-f.Record.encoded:] }

// Reader reads a stream and verifies it as it goes: payloads, the stages'
// counts and checksums, and the end's. After an error it gives the same error
// again.
type Reader struct {
	r       *bufio.Reader
	off     int64
	strict  bool
	verify  verifier
	state   state
	err     error
	current place  // of the frame last returned
	last    place  // of the last frame that was read whole, with its payload
	left    uint64 // of the payload of the frame last returned
	pcrc    uint32
	want    uint32
	payload []byte
}

// state is what may come next.
type state int

const (
	inRecords  state = iota
	afterMark        // nothing
	afterIndex       // the end record
	afterEnd         // nothing
)

// place is where a record stands, for messages.
type place struct {
	body int32
	off  int64
}

func (p place) String() string {
	if p.off == 0 {
		return "none"
	}
	return fmt.Sprintf("%s at %d", kindName(p.body), p.off)
}

const readBuffer = 128 << 10

// NewReader reads the magic. Errors: ErrNotFloe, or a version that this package
// can't read, or those of r.
func NewReader(r io.Reader) (*Reader, error) {
	rd := &Reader{r: bufio.NewReaderSize(r, readBuffer), off: magicLen}
	var m [magicLen]byte
	n, err := io.ReadFull(rd.r, m[:])
	switch {
	case n == 0 && errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%w: it is empty", ErrNotFloe)
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("read: %w", err)
	case n < magicLen && [magicLen]byte(append(m[:n:n], magic[n:]...)) == magic:
		return nil, fmt.Errorf("the stream ends early, at offset %d, in its magic: %w", n, io.ErrUnexpectedEOF)
	case n < magicLen || [4]byte(m[:4]) != [4]byte(magic[:4]) || m[4] != 0 || m[7] != 0:
		return nil, ErrNotFloe
	case m[5] != FormatMajor:
		return nil, fmt.Errorf("the stream has format %d.%d, this program reads %d: use the floe that wrote it", m[5], m[6], FormatMajor)
	}
	rd.verify = newVerifier(m[:])
	return rd, nil
}

// RefuseUnknown makes Next refuse what this version does not know, unless the
// record says that it is optional: for who acts on a stream. Who passes it on
// does not call it.
func (r *Reader) RefuseUnknown() { r.strict = true }

// Buffered is how many bytes can be read without waiting for more input.
func (r *Reader) Buffered() int { return r.r.Buffered() }

// Offset is where the reader stands, bytes from the stream's start.
func (r *Reader) Offset() int64 { return r.off }

// damaged is an error about the record that is being read.
func (r *Reader) damaged(format string, args ...any) error {
	return fmt.Errorf("%w at offset %d (last good record: %s): %s", ErrCorrupt, r.off, r.last, fmt.Sprintf(format, args...))
}

// broken is an error of the underlying reader; n bytes past the offset.
func (r *Reader) broken(err error, n int) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the stream ends early, at offset %d (last good record: %s): %w", r.off+int64(n), r.last, io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("read at offset %d: %w", r.off+int64(n), err)
}

// Next returns the next frame; what is left of the last one's payload is read
// and checked first. A Mark is returned as a frame, and counted nowhere. Errors:
// io.EOF only after the End record; io.ErrUnexpectedEOF, ErrCorrupt and others
// with the offset and the last good record.
func (r *Reader) Next() (*Frame, error) {
	if r.err == nil {
		r.err = r.skip()
	}
	if r.err != nil {
		return nil, r.err
	}
	f, err := r.next()
	if err != nil {
		r.err = err
		return nil, err
	}
	return f, nil
}

func (r *Reader) next() (*Frame, error) {
	r.last = r.current
	if r.state == afterEnd || r.state == afterMark {
		return nil, r.nothing()
	}
	f := &Frame{Offset: r.off}
	if err := r.read(f); err != nil {
		return nil, err
	}
	if err := r.order(f); err != nil {
		return nil, err
	}
	if m := f.Record.GetMark(); m != nil {
		if err := r.verify.mark(f, m); err != nil {
			return nil, r.damaged("%v", err)
		}
		f.PayloadOffset = r.off
		return f, nil
	}
	if err := r.verify.frame(f); err != nil {
		return nil, r.damaged("%v", err)
	}
	r.off += int64(len(f.Raw))
	f.PayloadOffset = r.off
	r.left, r.pcrc, r.want = f.Record.PayloadLen, 0, f.Record.PayloadCrc32C
	r.current = place{f.body, f.Offset}
	return f, nil
}

// nothing makes sure that nothing follows.
func (r *Reader) nothing() error {
	_, err := r.r.ReadByte()
	switch {
	case err == nil && r.state == afterMark:
		return r.damaged("more follows the end-of-input mark")
	case err == nil:
		return r.damaged("more follows the end record")
	case errors.Is(err, io.EOF) && r.state == afterEnd:
		return io.EOF
	}
	return r.broken(err, 0)
}

// read reads and decodes a record.
func (r *Reader) read(f *Frame) error {
	n, err := r.length(f)
	if err != nil {
		return err
	}
	head := len(f.Raw)
	f.Raw = append(make([]byte, 0, head+n), f.Raw...)[:head+n]
	if got, err := io.ReadFull(r.r, f.Raw[head:]); err != nil {
		return r.broken(err, head+got)
	}
	f.Record = &Record{}
	d, err := decodeRecord(f.Raw[head:], f.Record)
	if err != nil {
		return r.damaged("%v", err)
	}
	f.body, f.Unknown = d.body, d.unknown
	if f.Record.PayloadLen > MaxPayload {
		return r.damaged("payload of %d bytes: %v", f.Record.PayloadLen, ErrTooLarge)
	}
	if r.strict && f.Unknown && !f.Record.Optional {
		return fmt.Errorf("the record at offset %d (%s) has something new in it: %w", f.Offset, kindName(f.body), ErrUnknown)
	}
	return nil
}

// maxLength is the bytes of the longest length prefix.
const maxLength = 5

func (r *Reader) length(f *Frame) (int, error) {
	var n uint64
	for i := range maxLength {
		b, err := r.r.ReadByte()
		if err != nil {
			return 0, r.broken(err, len(f.Raw))
		}
		f.Raw = append(f.Raw, b)
		n |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			if n == 0 {
				return 0, r.damaged("zeros where a record should be: it was not written to its end")
			}
			if n > MaxRecord {
				return 0, r.damaged("record of %d bytes: %v", n, ErrTooLarge)
			}
			return int(n), nil
		}
	}
	return 0, r.damaged("record length: %v", ErrTooLarge)
}

// order checks that a record may stand where it does.
func (r *Reader) order(f *Frame) error {
	switch f.Record.Body.(type) {
	case *Record_Mark, *Record_EndStage, *Record_Index, *Record_End:
		if f.Record.PayloadLen != 0 {
			return r.damaged("an %s record with a payload", kindName(f.body))
		}
	}
	_, isEnd := f.Record.Body.(*Record_End)
	if isEnd != (r.state == afterIndex) {
		return r.damaged("%s record in the wrong place", kindName(f.body))
	}
	switch f.Record.Body.(type) {
	case *Record_Mark:
		r.state = afterMark
	case *Record_Index:
		r.state = afterIndex
	case *Record_End:
		r.state = afterEnd
	}
	return nil
}
