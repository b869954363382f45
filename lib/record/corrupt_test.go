package record

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"runtime"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// sharedBuffer saves making one for each of thousands of readers.
var sharedBuffer = bufio.NewReaderSize(nil, readBuffer)

// readAll reads a stream to its end; io.EOF when it is sound.
func readAll(b []byte) error {
	sharedBuffer.Reset(bytes.NewReader(b))
	r, err := NewReader(sharedBuffer)
	for err == nil {
		_, err = r.Next()
	}
	return err
}

// TestEveryFlippedByteIsFound flips a bit in each byte of an image, and every
// bit of a smaller one.
func TestEveryFlippedByteIsFound(t *testing.T) {
	flip := func(b []byte, i, bit int) {
		t.Helper()
		b[i] ^= 1 << bit
		err := readAll(b)
		b[i] ^= 1 << bit
		if err == nil || err == io.EOF {
			t.Fatalf("bit %d of byte %d of %d flipped: %v", bit, i, len(b), err)
		}
	}
	b := golden(t)
	for i := range b {
		flip(b, i, i%8)
	}
	b = small(t)
	for i := range 8 * len(b) {
		flip(b, i/8, i%8)
	}
}

// TestEveryCutIsFound cuts an image at every length, but few within its long
// stretches of filler and payload.
func TestEveryCutIsFound(t *testing.T) {
	b := golden(t)
	next := map[int]string{}
	readFrames(t, b, func(f *Frame) {
		next[int(f.PayloadOffset)+int(f.Record.PayloadLen)] = fmt.Sprintf("%s at %d", kindName(f.body), f.Offset)
	})
	last := "none"
	for n := range b {
		if s, ok := next[n]; ok {
			last = s
		} else if n%64 != 0 && n > 64 && bytes.Equal(b[n-64:n], b[n-60:n+4]) {
			continue
		}
		err := readAll(b[:n])
		if n == 0 {
			if !errors.Is(err, ErrNotFloe) {
				t.Fatalf("an empty stream: %v", err)
			}
			continue
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("cut to %d of %d bytes: %v", n, len(b), err)
		}
		want := fmt.Sprintf("the stream ends early, at offset %d (last good record: %s)", n, last)
		if n < magicLen {
			want = fmt.Sprintf("the stream ends early, at offset %d, in its magic", n)
		}
		if !strings.HasPrefix(err.Error(), want) {
			t.Fatalf("cut to %d bytes: %v\nwant %s", n, err, want)
		}
	}
}

// TestZeros: a file that was longer than what had been written to it when its
// writer was killed.
func TestZeros(t *testing.T) {
	b := golden(t)
	readFrames(t, b, func(f *Frame) {
		end := int(f.PayloadOffset) + int(f.Record.PayloadLen)
		if end == len(b) {
			return
		}
		err := readAll(append(b[:end:end], make([]byte, 4096)...))
		if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "zeros where a record should be") {
			t.Errorf("zeros after the %s record at %d: %v", kindName(f.body), f.Offset, err)
		}
		err = readAll(append(b[:end-1:end-1], make([]byte, 4096)...))
		if err == nil || err == io.EOF {
			t.Errorf("zeros from the end of the %s record at %d on: %v", kindName(f.body), f.Offset, err)
		}
	})
}

func TestTrailingBytes(t *testing.T) {
	for _, tail := range [][]byte{{0}, magic[:], golden(t)} {
		if err := readAll(append(golden(t), tail...)); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "more follows the end record") {
			t.Errorf("%d bytes too many: %v", len(tail), err)
		}
	}
}

func TestErrorStays(t *testing.T) {
	b := small(t)
	b[bytes.Index(b, []byte("payload"))] ^= 1
	r, err := NewReader(bytes.NewReader(b))
	for err == nil {
		_, err = r.Next()
	}
	if !strings.Contains(err.Error(), "the payload of the pipe record does not match its checksum") {
		t.Fatal(err)
	}
	if _, again := r.Next(); again != err {
		t.Errorf("after %v: %v", err, again)
	}
	if _, again := r.Payload(); err != again && again != nil {
		t.Errorf("payload after %v: %v", err, again)
	}
}

// The tests sum with the standard library's code.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// raw makes streams that no Writer would write; its checksums are right.
type raw struct {
	bytes.Buffer
	frames uint64
	crc    uint32
	own    tally
	kinds  kinds
	index  int64
}

func newRaw() *raw {
	r := &raw{crc: crc32.Checksum(magic[:], castagnoli), kinds: kinds{}}
	r.Write(magic[:])
	return r
}

func (r *raw) frame(rec []byte, payload []byte) *raw {
	frame := append(binary.AppendUvarint(nil, uint64(len(rec))), rec...)
	body := bodyField(frame)
	switch body {
	case 17: // Mark
	case 18, 19, 20: // EndStage, Index, End
	default:
		r.own.add(frame, uint64(len(payload)))
	}
	if body == 19 {
		r.index = int64(r.Len())
	}
	if body != 17 {
		r.frames++
		r.crc = crc32.Update(r.crc, castagnoli, frame)
		r.kinds[body]++
	}
	r.Write(frame)
	r.Write(payload)
	return r
}

func (r *raw) add(rec *Record) *raw {
	b, err := Encode(rec)
	if err != nil {
		panic(err)
	}
	return r.frame(b, nil)
}

func (r *raw) header() *raw { return r.add(&Record{Body: &Record_Header{&Header{Arch: "amd64"}}}) }

func (r *raw) stage() *raw {
	e := &EndStage{Stage: "x", Records: r.own.records, Bytes: r.own.bytes, Crc32C: r.own.crc}
	r.own = tally{}
	return r.add(&Record{Body: &Record_EndStage{e}})
}

func (r *raw) end() []byte {
	r.add(&Record{Body: &Record_Index{&Index{Kinds: r.kinds.list()}}})
	return r.last()
}

func (r *raw) last() []byte {
	r.add(&Record{Body: &Record_End{&End{Records: r.frames, Bytes: uint64(r.Len()), IndexOffset: uint64(r.index), Crc32C: r.crc}}})
	return r.Bytes()
}

func TestWrongStreams(t *testing.T) {
	task := &Record{Body: &Record_Task{&Task{Pid: 1}}}
	payloadOf := func(n uint64) []byte {
		b, _ := Encode(&Record{PayloadLen: n, Body: &Record_Task{&Task{}}})
		return b
	}
	two := []byte{0x82, 2, 0, 0x8a, 2, 0} // task {} thread {}
	for _, c := range []struct {
		name, want string
		stream     []byte
	}{
		{"text", "not a floe stream", []byte("hello, world\n")},
		{"less than a magic", "not a floe stream", []byte("hi")},
		{"a magic with a byte wrong", "not a floe stream", []byte("FLOE\x01\x01\x00\x00")},
		{"another major version", "format 9.1", []byte("FLOE\x00\x09\x01\x00")},
		{"records of no stage", "belong to no stage", newRaw().header().end()},
		{"stage with other records", "don't match", newRaw().header().add(&Record{Body: &Record_EndStage{&EndStage{Stage: "x"}}}).end()},
		{"no index", "wrong place", newRaw().header().stage().last()},
		{"index with other kinds", "the index does not match", newRaw().header().stage().add(&Record{Body: &Record_Index{&Index{}}}).last()},
		{"record after the index", "wrong place", append(newRaw().header().stage().add(&Record{Body: &Record_Index{&Index{
			Kinds: []*Index_Kind{{Field: 16, Records: 1}, {Field: 18, Records: 1}}}}}).add(task).stage().last(), 0)},
		{"two bodies", "two bodies", newRaw().frame(two, nil).stage().end()},
		{"no protobuf", "not a record", newRaw().frame([]byte{0xff, 0xff}, nil).stage().end()},
		{"a group", "not a record", newRaw().frame([]byte{0x83, 2, 0x84, 2}, nil).stage().end()},
		{"length of 6 bytes", "out of bounds", append(magic[:], 0x80, 0x80, 0x80, 0x80, 0x80, 0)},
		{"record too long", "record of 4194305 bytes", append(magic[:], binary.AppendUvarint(nil, MaxRecord+1)...)},
		{"payload too long", "payload of 4194305 bytes", newRaw().frame(payloadOf(MaxPayload+1), nil).stage().end()},
		{"payload of 2^64-1", "out of bounds", newRaw().frame(payloadOf(1<<64-1), nil).stage().end()},
		{"mark with a payload", "with a payload", newRaw().header().add(&Record{PayloadLen: 1, Body: &Record_Mark{&Mark{}}}).Bytes()},
		{"mark of another stream", "end-of-input mark", newRaw().header().add(&Record{Body: &Record_Mark{&Mark{Bytes: 1}}}).Bytes()},
		{"end stage with a payload", "with a payload", newRaw().header().add(&Record{PayloadLen: 1, Body: &Record_EndStage{&EndStage{}}}).Bytes()},
	} {
		err := readAll(c.stream)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v; want %s", c.name, err, c.want)
		}
	}
}

// TestBombs has records of few bytes that would take much memory.
func TestBombs(t *testing.T) {
	fill := func(body protowire.Number, field protowire.Number, elem []byte, n int) []byte {
		one := protowire.AppendBytes(protowire.AppendTag(nil, field, protowire.BytesType), elem)
		return protowire.AppendBytes(protowire.AppendTag(nil, body, protowire.BytesType), bytes.Repeat(one, n/len(one)))
	}
	for name, rec := range map[string][]byte{
		"pending signals": fill(32, 19, nil, MaxRecord-8),
		"posix timers":    fill(32, 21, nil, MaxRecord-8),
		"vma flags":       fill(49, 9, nil, MaxRecord-8),
		"packed packets":  fill(67, 7, bytes.Repeat([]byte{1}, 1<<20), MaxRecord-1<<21),
		"runs":            fill(80, 3, nil, MaxRecord-8),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		d, err := decodeRecord(rec, &Record{})
		runtime.ReadMemStats(&after)
		if !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %d bytes taken for %d: %v", name, len(rec), d.memory, err)
		}
		// A list that grows leaves what was too small behind.
		if took := after.TotalAlloc - before.TotalAlloc; took > 3*MaxDecoded {
			t.Errorf("%s: %d bytes", name, took)
		}
		if err := readAll(newRaw().frame(rec, nil).Bytes()); err == nil || !strings.Contains(err.Error(), "out of bounds") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
