package record

import (
	"errors"
	"fmt"
	"math/bits"
	"unicode/utf8"
)

// Message is what the generated code is for each kind.
type Message interface {
	encode(e *encoder)
	decode(d *decoder, tag uint64) bool // false: it does not know the field
	keep(b []byte)                      // a field that it does not know
}

var errUTF8 = errors.New("a text that is not UTF-8")

// Encode is a message in protobuf's encoding, fields in the order of their
// numbers. Errors: a text that is not UTF-8.
func Encode(m Message) ([]byte, error) { return appendMessage(nil, m) }

// appendMessage is Encode, behind what b has.
func appendMessage(b []byte, m Message) ([]byte, error) {
	e := encoder{b: b}
	m.encode(&e)
	return e.b, e.err
}

// encoder has what was encoded so far. Its methods that take a tag write
// nothing for a zero value, but where a list's element is meant.
type encoder struct {
	b   []byte
	err error
}

func (e *encoder) varint(x uint64) {
	for x >= 0x80 {
		e.b = append(e.b, byte(x)|0x80)
		x >>= 7
	}
	e.b = append(e.b, byte(x))
}

// sizeVarint is the bytes that x takes.
func sizeVarint(x uint64) int { return (bits.Len64(x|1) + 6) / 7 }

func (e *encoder) uint64(tag, x uint64) {
	if x != 0 {
		e.varint(tag)
		e.varint(x)
	}
}

func (e *encoder) uint32(tag uint64, x uint32) { e.uint64(tag, uint64(x)) }
func (e *encoder) sint64(tag uint64, x int64)  { e.uint64(tag, zigzag(x)) }
func (e *encoder) sint32(tag uint64, x int32)  { e.uint64(tag, zigzag(int64(x))) }
func (e *encoder) enum(tag uint64, x int32)    { e.uint64(tag, uint64(int64(x))) }

func (e *encoder) bool(tag uint64, x bool) {
	if x {
		e.uint64(tag, 1)
	}
}

func (e *encoder) fixed32(tag uint64, x uint32) {
	if x != 0 {
		e.varint(tag)
		e.b = append(e.b, byte(x), byte(x>>8), byte(x>>16), byte(x>>24))
	}
}

func zigzag(x int64) uint64 { return uint64(x)<<1 ^ uint64(x>>63) }

func (e *encoder) bytes(tag uint64, b []byte) {
	if len(b) > 0 {
		e.varint(tag)
		e.varint(uint64(len(b)))
		e.b = append(e.b, b...)
	}
}

func (e *encoder) text(tag uint64, s string) {
	if s != "" {
		e.textElement(tag, s)
	}
}

func (e *encoder) textElement(tag uint64, s string) {
	if !utf8.ValidString(s) {
		e.err = fmt.Errorf("%w: %q", errUTF8, s[:min(len(s), 64)])
	}
	e.nameElement(tag, s)
}

// name is text that may be any bytes.
func (e *encoder) name(tag uint64, s string) {
	if s != "" {
		e.nameElement(tag, s)
	}
}

func (e *encoder) nameElement(tag uint64, s string) {
	e.varint(tag)
	e.varint(uint64(len(s)))
	e.b = append(e.b, s...)
}

func (e *encoder) message(tag uint64, m Message) {
	start := e.begin(tag)
	m.encode(e)
	e.end(start)
}

// Numbers of a list that stands in one field.
func (e *encoder) putUint32(x uint32) { e.varint(uint64(x)) }
func (e *encoder) putSint32(x int32)  { e.varint(zigzag(int64(x))) }

// begin starts a field that has a length, with one byte for it.
func (e *encoder) begin(tag uint64) (start int) {
	e.varint(tag)
	e.b = append(e.b, 0)
	return len(e.b)
}

// end puts the length of what stands from start on before it.
func (e *encoder) end(start int) {
	n := len(e.b) - start
	if more := sizeVarint(uint64(n)) - 1; more > 0 {
		e.b = append(e.b, make([]byte, more)...)
		copy(e.b[start+more:], e.b[start:start+n])
	}
	at := encoder{b: e.b[:start-1]}
	at.varint(uint64(n))
}
