package record

import (
	"bufio"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"google.golang.org/protobuf/proto"
)

// Frame is one record as it stood in the stream.
type Frame struct {
	Offset        int64  // of the frame, bytes from the stream's start
	Raw           []byte // length and record, as they came
	Record        *Record
	PayloadOffset int64
}

// Reader reads a stream and verifies it as it goes: payloads, the stages'
// counts and checksums, and the end's.
type Reader struct {
	r       *bufio.Reader
	off     int64
	crc     uint32
	frames  uint64
	stage   tally
	index   int64 // offset of the Index frame, 0: none yet
	last    string
	left    uint64 // of the payload of the frame last returned
	pcrc    uint32
	want    uint32
	payload []byte
	ended   bool
}

const readBuffer = 128 << 10

// NewReader reads the magic.
func NewReader(r io.Reader) (*Reader, error) {
	rd := &Reader{r: bufio.NewReaderSize(r, readBuffer), last: "none"}
	var m [magicLen]byte
	n, err := io.ReadFull(rd.r, m[:])
	switch {
	case n == 0 && errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%w: it is empty", ErrNotFloe)
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return nil, err
	case n < magicLen || [4]byte(m[:4]) != [4]byte(magic[:4]) || m[4] != 0 || m[7] != 0:
		return nil, ErrNotFloe
	case m[5] != FormatMajor:
		return nil, fmt.Errorf("the stream has format %d.%d, this program reads %d: use the floe that wrote it", m[5], m[6], FormatMajor)
	}
	rd.off = magicLen
	rd.crc = crc32.Update(0, castagnoli, m[:])
	return rd, nil
}

func (r *Reader) damaged(format string, args ...any) error {
	return fmt.Errorf("%w at offset %d (last good record: %s): %s", ErrCorrupt, r.off, r.last, fmt.Sprintf(format, args...))
}

func (r *Reader) eof(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the stream ends early, at offset %d (last good record: %s): %w", r.off, r.last, io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("read at offset %d: %w", r.off, err)
}

// Next returns the next frame; what is left of the last one's payload is read
// and checked first. io.EOF comes only after the End record. A Mark is
// returned as a frame, and counted nowhere.
func (r *Reader) Next() (*Frame, error) {
	if _, err := io.Copy(io.Discard, r.PayloadReader()); err != nil {
		return nil, err
	}
	if r.ended {
		if _, err := r.r.ReadByte(); err == nil {
			return nil, r.damaged("more follows the end record")
		} else if !errors.Is(err, io.EOF) {
			return nil, err
		}
		return nil, io.EOF
	}
	f := &Frame{Offset: r.off}
	n, err := r.length(f)
	if err != nil {
		return nil, err
	}
	head := len(f.Raw)
	f.Raw = append(f.Raw, make([]byte, n)...)
	if _, err := io.ReadFull(r.r, f.Raw[head:]); err != nil {
		return nil, r.eof(err)
	}
	f.Record = &Record{}
	if err := proto.Unmarshal(f.Raw[head:], f.Record); err != nil {
		return nil, r.damaged("not a record: %v", err)
	}
	if f.Record.PayloadLen > MaxPayload {
		return nil, r.damaged("payload of %d bytes: %v", f.Record.PayloadLen, ErrTooLarge)
	}
	if err := r.account(f); err != nil {
		return nil, err
	}
	return f, nil
}

func (r *Reader) length(f *Frame) (int, error) {
	var n uint64
	for shift := 0; ; shift += 7 {
		b, err := r.r.ReadByte()
		if err != nil {
			return 0, r.eof(err)
		}
		f.Raw = append(f.Raw, b)
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			break
		}
		if shift >= 28 {
			return 0, r.damaged("record length: %v", ErrTooLarge)
		}
	}
	if n > MaxRecord {
		return 0, r.damaged("record of %d bytes: %v", n, ErrTooLarge)
	}
	return int(n), nil
}

// account checks and counts a frame.
func (r *Reader) account(f *Frame) error {
	rec := f.Record
	switch b := rec.Body.(type) {
	case *Record_Mark:
		return nil
	case *Record_EndStage:
		e := b.EndStage
		if e.Records != r.stage.records || e.Bytes != r.stage.bytes || e.Crc32C != r.stage.crc {
			return r.damaged("the records of stage %q don't match its checksum", e.Stage)
		}
		r.stage = tally{}
	case *Record_Index:
		r.index = f.Offset
	case *Record_End:
		e := b.End
		if e.Records != r.frames || e.Bytes != uint64(r.off) || e.Crc32C != r.crc || int64(e.IndexOffset) != r.index {
			return r.damaged("the stream does not match its end record")
		}
		r.ended = true
	default:
		r.stage.add(f.Raw, rec.PayloadLen)
	}
	if r.ended && rec.PayloadLen != 0 {
		return r.damaged("the end record has a payload")
	}
	r.frames++
	r.off += int64(len(f.Raw))
	f.PayloadOffset = r.off
	r.crc = crc32.Update(r.crc, castagnoli, f.Raw)
	r.left, r.pcrc, r.want = rec.PayloadLen, 0, rec.PayloadCrc32C
	r.last = fmt.Sprintf("%s at %d", rec.Kind(), f.Offset)
	return nil
}

// Payload reads the payload of the frame that Next returned last. The bytes
// are valid until the next call.
func (r *Reader) Payload() ([]byte, error) {
	if cap(r.payload) < int(r.left) {
		r.payload = make([]byte, r.left)
	}
	b := r.payload[:r.left]
	_, err := io.ReadFull(r.PayloadReader(), b)
	return b, err
}

// PayloadReader reads the same piece by piece; its checksum is verified when
// the last byte is read.
func (r *Reader) PayloadReader() io.Reader { return (*payloadReader)(r) }

type payloadReader Reader

func (p *payloadReader) Read(b []byte) (int, error) {
	r := (*Reader)(p)
	if r.left == 0 {
		return 0, io.EOF
	}
	if uint64(len(b)) > r.left {
		b = b[:r.left]
	}
	n, err := r.r.Read(b)
	r.pcrc = crc32.Update(r.pcrc, castagnoli, b[:n])
	r.left -= uint64(n)
	r.off += int64(n)
	if err != nil {
		return n, r.eof(err)
	}
	if r.left == 0 && r.pcrc != r.want {
		return n, r.damaged("wrong checksum of a payload")
	}
	return n, nil
}

// Kind is the name of a record's body, as in record.proto: "task".
func (x *Record) Kind() string {
	m := x.ProtoReflect()
	if d := m.WhichOneof(m.Descriptor().Oneofs().ByName("body")); d != nil {
		return string(d.Name())
	}
	return "unknown"
}
