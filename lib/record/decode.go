package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
)

var (
	errTwoBodies = errors.New("a record with two bodies")
	errMalformed = errors.New("not a record")
)

// Decode decodes a message that Encode encoded, into an empty one. Errors: one
// that is damaged, or would take more than MaxDecoded in memory.
func Decode(b []byte, m Message) error {
	d := decoder{b: b}
	d.fields(m, nil)
	return d.err
}

// decoded is what there is to know of a record beside its contents.
type decoded struct {
	body    int32 // number in the oneof; 0: it has none
	memory  int   // bytes that it takes, at most
	unknown bool  // something in it that this version does not know
}

// decodeRecord decodes a record. It refuses what is no protobuf, and sets no
// memory aside for one that would take more than MaxDecoded.
func decodeRecord(b []byte, rec *Record) (decoded, error) {
	d := decoder{b: b, decoded: decoded{memory: sizeRecord}}
	rec.encoded = len(b)
	d.fields(rec, &d.body)
	d.unknown = d.unknown || d.body == 0
	return d.decoded, d.err
}

// decoder has what is left of the message that is being decoded. After an error
// its methods give zero values.
type decoder struct {
	b []byte
	decoded
	err error
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
	d.b = nil
}

// take counts memory that is about to be set aside.
func (d *decoder) take(n int) bool {
	if d.memory += n; d.memory > MaxDecoded {
		d.fail(fmt.Errorf("a record that takes more than %d bytes in memory: %w", MaxDecoded, ErrTooLarge))
		return false
	}
	return true
}

// Parts of a field's tag.
const (
	wireBits    = 3
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
	maxNumber   = 1<<29 - 1
)

// oneofWrapper is what holds a member of a oneof, less the member itself.
const oneofWrapper = 8

// fields decodes all that is left into m. body, if there is one, gets the
// number of the field that is a record's body; a second one is an error.
func (d *decoder) fields(m Message, body *int32) {
	for len(d.b) > 0 {
		field := d.b
		tag := d.varint()
		number := tag >> wireBits
		if number == 0 || number > maxNumber {
			d.fail(errMalformed)
			return
		}
		if body != nil && number >= firstBody {
			if *body != 0 {
				d.fail(errTwoBodies)
				return
			}
			*body = int32(number)
		}
		if m.decode(d, tag) {
			continue
		}
		d.skip(tag & (1<<wireBits - 1))
		d.unknown = true
		if n := len(field) - len(d.b); d.err == nil && d.take(2*n) { // in a slice that grows
			m.keep(field[:n])
		}
	}
}

// skip passes over a value. Groups are not part of the format.
func (d *decoder) skip(wire uint64) {
	switch wire {
	case wireVarint:
		d.varint()
	case wireFixed64:
		d.fixed(8)
	case wireBytes:
		d.span()
	case wireFixed32:
		d.fixed(4)
	default:
		d.fail(errMalformed)
	}
}

// varint reads a number. One that is longer than it has to be is one all the same.
func (d *decoder) varint() uint64 {
	if len(d.b) > 0 && d.b[0] < 0x80 {
		x := d.b[0]
		d.b = d.b[1:]
		return uint64(x)
	}
	x, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail(errMalformed)
		return 0
	}
	d.b = d.b[n:]
	return x
}

// fixed passes over n bytes and gives them, or nil.
func (d *decoder) fixed(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.fail(errMalformed)
		return nil
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

// span is a value that has a length.
func (d *decoder) span() []byte {
	n := d.varint()
	return d.fixed(n)
}

// Bits beyond a number's size are lost.
func (d *decoder) uint64() uint64 { return d.varint() }
func (d *decoder) uint32() uint32 { return uint32(d.varint()) }
func (d *decoder) bool() bool     { return d.varint() != 0 }
func (d *decoder) enum() int32    { return int32(d.varint()) }
func (d *decoder) sint64() int64  { return unzigzag(d.varint()) }
func (d *decoder) sint32() int32  { return int32(unzigzag(d.varint() & (1<<32 - 1))) }

func unzigzag(x uint64) int64 { return int64(x>>1) ^ -int64(x&1) }

func (d *decoder) fixed32() uint32 {
	if b := d.fixed(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (d *decoder) bytes() []byte {
	b := d.span()
	if !d.take(len(b)) {
		return nil
	}
	return append(make([]byte, 0, len(b)), b...)
}

func (d *decoder) text() string {
	s := d.name()
	if !utf8.ValidString(s) {
		d.fail(errUTF8)
	}
	return s
}

func (d *decoder) name() string {
	b := d.span()
	if !d.take(len(b)) {
		return ""
	}
	return string(b)
}

func (d *decoder) message(m Message) {
	inner := d.span()
	rest := d.b
	if d.b = inner; d.err == nil {
		d.fields(m, nil)
	}
	if d.err == nil {
		d.b = rest
	}
}

// packed decodes a list of numbers that has a length, and takes memory for the
// most that there can be of them: each has a byte or more.
func (d *decoder) packed(memory int, add func()) {
	list := d.span()
	rest := d.b
	if !d.take(memory * len(list)) {
		return
	}
	for d.b = list; len(d.b) > 0; {
		add()
	}
	if d.err == nil {
		d.b = rest
	}
}
