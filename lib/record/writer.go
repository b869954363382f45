package record

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"floe/lib/crc32c"
)

// Writer writes a stream. It is not safe for concurrent use, but for Frames.
type Writer struct {
	w      *bufio.Writer
	off    int64
	crc    uint32 // over everything but payloads
	frames atomic.Uint64
	kinds  kinds
	own    tally // of the stage that writes
	ended  EndStage
}

const writeBuffer = 64 << 10

// NewWriter writes to w; the magic comes with the first frame.
func NewWriter(w io.Writer) *Writer {
	return &Writer{w: bufio.NewWriterSize(w, writeBuffer), kinds: kinds{}}
}

// Offset is where the next frame will start, bytes from the stream's start.
func (w *Writer) Offset() int64 {
	if w.off == 0 {
		return magicLen
	}
	return w.off
}

// Frames is how many frames there are so far.
func (w *Writer) Frames() uint64 { return w.frames.Load() }

func (w *Writer) start() error {
	if w.off != 0 {
		return nil
	}
	w.off = magicLen
	w.crc = Checksum(magic[:])
	_, err := w.w.Write(magic[:])
	return err
}

func (w *Writer) write(frame, payload []byte) error {
	if err := w.account(frame, uint64(len(payload))); err != nil {
		return err
	}
	if _, err := w.w.Write(frame); err != nil {
		return err
	}
	_, err := w.w.Write(payload)
	return err
}

func (w *Writer) account(frame []byte, payload uint64) error {
	if err := w.start(); err != nil {
		return err
	}
	w.frames.Add(1)
	w.kinds[bodyField(frame)]++
	w.off += int64(len(frame)) + int64(payload)
	w.crc = crc32c.Update(w.crc, frame)
	return nil
}

// Pass writes a frame of an upstream stage as it came.
func (w *Writer) Pass(f *Frame, payload []byte) error { return w.write(f.Raw, payload) }

// Add writes a record of this stage's own, with its payload.
func (w *Writer) Add(rec *Record, payload []byte) error { return w.AddAligned(rec, payload, 1) }

// AddAligned is Add with the payload at a multiple of align in the stream.
func (w *Writer) AddAligned(rec *Record, payload []byte, align int) error {
	frame, _, err := w.FrameFor(rec, len(payload), Checksum(payload), align)
	if err != nil {
		return err
	}
	if _, err := w.w.Write(frame); err != nil {
		return err
	}
	_, err = w.w.Write(payload)
	return err
}

// FrameFor accounts for an own record and a payload of n bytes at the current
// offset, as Add does, but leaves it to the caller to write both: the frame at
// the offset that Offset gave before, the payload at payloadOffset. Flush
// first. align of 1 or less: no alignment.
func (w *Writer) FrameFor(rec *Record, n int, crc uint32, align int) (frame []byte, payloadOffset int64, err error) {
	rec.PayloadLen, rec.PayloadCrc32C, rec.Pad = uint64(n), crc, nil
	if n == 0 {
		rec.PayloadCrc32C = 0
	} else if n > MaxPayload {
		return nil, 0, fmt.Errorf("payload of %d bytes: %w", n, ErrTooLarge)
	}
	if err := w.start(); err != nil {
		return nil, 0, err
	}
	if frame, err = Marshal(rec); err != nil {
		return nil, 0, err
	}
	if align > 1 && n > 0 {
		if frame, err = w.pad(rec, frame, align); err != nil {
			return nil, 0, err
		}
	}
	w.own.add(frame, uint64(n))
	if err := w.account(frame, uint64(n)); err != nil {
		return nil, 0, err
	}
	return frame, w.off - int64(n), nil
}

// EndStage closes what stage added.
func (w *Writer) EndStage(stage, version string) error {
	w.ended = EndStage{Stage: stage, Records: w.own.records, Bytes: w.own.bytes, Crc32C: w.own.crc, ToolVersion: version}
	w.own = tally{}
	frame, err := Marshal(&Record{Body: &Record_EndStage{&w.ended}})
	if err != nil {
		return err
	}
	return w.write(frame, nil)
}

// Ended is what the last EndStage said of its records.
func (w *Writer) Ended() *EndStage { return &w.ended }

// Mark tells the next stage that its input is complete, and flushes. It is not
// part of the stream.
func (w *Writer) Mark() error {
	if err := w.start(); err != nil {
		return err
	}
	frame, err := Marshal(&Record{Body: &Record_Mark{&Mark{Bytes: uint64(w.off), Crc32C: w.crc}}})
	if err != nil {
		return err
	}
	if _, err := w.w.Write(frame); err != nil {
		return err
	}
	return w.Flush()
}

// End writes the index and the end record, and flushes. It fills in the
// index's table of kinds.
func (w *Writer) End(index *Index) error {
	if w.own != (tally{}) {
		return errors.New("record: records that belong to no stage")
	}
	index.Kinds = w.kinds.list()
	at := uint64(w.Offset())
	frame, err := Marshal(&Record{Body: &Record_Index{index}})
	if err != nil {
		return err
	}
	if err := w.write(frame, nil); err != nil {
		return err
	}
	frame, err = Marshal(&Record{Body: &Record_End{&End{Records: w.frames.Load(), Bytes: uint64(w.off), IndexOffset: at, Crc32C: w.crc}}})
	if err != nil {
		return err
	}
	if err := w.write(frame, nil); err != nil {
		return err
	}
	return w.Flush()
}

// Flush writes out what is buffered.
func (w *Writer) Flush() error { return w.w.Flush() }

// Marshal is the frame of a record: its length, and it. It refuses what a
// Reader would refuse for its size.
func Marshal(rec *Record) ([]byte, error) {
	const usual = 512 // bytes
	b, err := appendMessage(make([]byte, maxLength, maxLength+len(rec.Pad)+usual), rec)
	if err != nil {
		return nil, fmt.Errorf("%s record: %w", rec.Kind(), err)
	}
	n := len(b) - maxLength
	if n > MaxRecord {
		return nil, fmt.Errorf("%s record of %d bytes; the limit is %d: %w", rec.Kind(), n, MaxRecord, ErrTooLarge)
	}
	if n > alwaysDecodes {
		if _, err := decodeRecord(b[maxLength:], &Record{}); err != nil {
			return nil, fmt.Errorf("%s record: %w", rec.Kind(), err)
		}
	}
	b = b[maxLength-sizeVarint(uint64(n)):]
	binary.PutUvarint(b, uint64(n))
	return b, nil
}

// alwaysDecodes is a size that a record can have without coming near to
// MaxDecoded, whatever is in it.
const alwaysDecodes = 64 << 10
