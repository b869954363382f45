package record

import (
	"errors"
	"math/bits"
	"reflect"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// The records are decoded and encoded here, field by field from the generated
// structs' tags. protobuf's own code prepares itself for every kind of message
// that a program meets, which takes longer than all the rest of a small
// checkpoint. What comes out is the same, byte for byte; and whatever is out of
// the ordinary (a field that this version does not know, one that comes twice) is
// left to protobuf.

// errOdd says that protobuf itself must see to a message.
var errOdd = errors.New("record: out of the ordinary")

var errUTF8 = errors.New("a text that is not UTF-8")

// unmarshal is proto.Unmarshal for a record that scan has walked over.
func unmarshal(b []byte, rec *Record) error {
	err := decode(b, reflect.ValueOf(rec).Elem(), shapeOf(recordType))
	if err == errOdd {
		return proto.Unmarshal(b, rec) // which resets it first
	}
	return err
}

func decode(b []byte, v reflect.Value, sh *shape) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errMalformed
		}
		b = b[n:]
		if int(num) >= len(sh.fields) || !sh.fields[num].known {
			return errOdd
		}
		n, err := sh.fields[num].decode(b, typ, v)
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// decode reads one value of a field into a struct, and tells its length.
func (f *field) decode(b []byte, typ protowire.Type, in reflect.Value) (int, error) {
	to := in.Field(f.index)
	switch {
	case f.oneof:
		if !to.IsNil() {
			return 0, errOdd
		}
		w := reflect.New(f.wrapper)
		n, err := f.element(b, typ, w.Elem().Field(0))
		to.Set(w)
		return n, err
	case !f.repeated:
		if f.message != nil && !to.IsNil() {
			return 0, errOdd // to be merged
		}
		return f.element(b, typ, to)
	case f.wire != protowire.BytesType && typ == protowire.BytesType:
		return f.packed(b, to)
	}
	to.Grow(1)
	to.SetLen(to.Len() + 1)
	return f.element(b, typ, to.Index(to.Len()-1))
}

// packed reads a list of numbers that has a length.
func (f *field) packed(b []byte, to reflect.Value) (int, error) {
	list, n := protowire.ConsumeBytes(b)
	if n < 0 {
		return 0, errMalformed
	}
	for len(list) > 0 {
		to.Grow(1)
		to.SetLen(to.Len() + 1)
		k, err := f.element(list, f.wire, to.Index(to.Len()-1))
		if err != nil {
			return 0, err
		}
		list = list[k:]
	}
	return n, nil
}

// element reads one value.
func (f *field) element(b []byte, typ protowire.Type, to reflect.Value) (n int, err error) {
	if typ != f.wire {
		return 0, errOdd
	}
	var x uint64
	switch typ {
	case protowire.BytesType:
		var data []byte
		if data, n = protowire.ConsumeBytes(b); n >= 0 {
			err = f.bytes(data, to)
		}
	case protowire.Fixed32Type:
		var y uint32
		y, n = protowire.ConsumeFixed32(b)
		x = uint64(y)
	case protowire.Fixed64Type:
		x, n = protowire.ConsumeFixed64(b)
	default:
		x, n = protowire.ConsumeVarint(b)
	}
	if n < 0 {
		return 0, errMalformed
	}
	if typ != protowire.BytesType {
		f.number(x, to)
	}
	return n, err
}

// number sets a number as it is encoded; bits beyond its size are lost.
func (f *field) number(x uint64, to reflect.Value) {
	switch to.Kind() {
	case reflect.Bool:
		to.SetBool(x != 0)
	case reflect.Int32:
		if f.zigzag {
			to.SetInt(protowire.DecodeZigZag(x & (1<<32 - 1)))
		} else {
			to.SetInt(int64(int32(x)))
		}
	case reflect.Int64:
		if f.zigzag {
			to.SetInt(protowire.DecodeZigZag(x))
		} else {
			to.SetInt(int64(x))
		}
	case reflect.Uint32:
		to.SetUint(uint64(uint32(x)))
	default:
		to.SetUint(x)
	}
}

// bytes sets what has a length.
func (f *field) bytes(b []byte, to reflect.Value) error {
	switch {
	case f.message != nil:
		m := reflect.New(f.message)
		to.Set(m)
		return decode(b, m.Elem(), shapeOf(f.message))
	case to.Kind() == reflect.String:
		if !utf8.Valid(b) {
			return errUTF8
		}
		to.SetString(string(b))
	default:
		to.SetBytes(append(make([]byte, 0, len(b)), b...))
	}
	return nil
}

// marshal is a record as protobuf encodes it, deterministically, behind the
// bytes that b has.
func marshal(b []byte, rec *Record) ([]byte, error) {
	return encode(b, reflect.ValueOf(rec).Elem(), shapeOf(recordType))
}

func encode(b []byte, v reflect.Value, sh *shape) ([]byte, error) {
	if u := v.Field(sh.unknown); u.Len() > 0 {
		return nil, errOdd
	}
	var err error
	for _, num := range sh.order {
		f := &sh.fields[num]
		from := v.Field(f.index)
		if f.oneof {
			if from.IsNil() || from.Elem().Type().Elem() != f.wrapper {
				continue
			}
			if b, err = f.put(b, num, from.Elem().Elem().Field(0)); err != nil {
				return nil, err
			}
			continue
		}
		if b, err = f.encode(b, num, from); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// encode appends a field of a struct, unless it is empty.
func (f *field) encode(b []byte, num protowire.Number, from reflect.Value) ([]byte, error) {
	switch {
	case f.repeated && from.Len() == 0 || !f.repeated && empty(from):
		return b, nil
	case !f.repeated:
		return f.put(b, num, from)
	case f.wire != protowire.BytesType:
		b = protowire.AppendTag(b, num, protowire.BytesType)
		start := len(b)
		for i := range from.Len() {
			b = f.appendNumber(b, from.Index(i))
		}
		return prefixed(b, start), nil
	}
	var err error
	for i := range from.Len() {
		if b, err = f.put(b, num, from.Index(i)); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// empty tells a value that is not encoded.
func empty(v reflect.Value) bool {
	if v.Kind() == reflect.Slice {
		return v.Len() == 0
	}
	return v.IsZero()
}

// put appends one value with its tag.
func (f *field) put(b []byte, num protowire.Number, v reflect.Value) ([]byte, error) {
	b = protowire.AppendTag(b, num, f.wire)
	switch {
	case f.message != nil:
		if v.IsNil() {
			return nil, errOdd
		}
		start := len(b)
		b, err := encode(b, v.Elem(), shapeOf(f.message))
		if err != nil {
			return nil, err
		}
		return prefixed(b, start), nil
	case v.Kind() == reflect.String:
		if !utf8.ValidString(v.String()) {
			return nil, errUTF8
		}
		return protowire.AppendString(b, v.String()), nil
	case f.wire == protowire.BytesType:
		return protowire.AppendBytes(b, v.Bytes()), nil
	}
	return f.appendNumber(b, v), nil
}

func (f *field) appendNumber(b []byte, v reflect.Value) []byte {
	var x uint64
	switch v.Kind() {
	case reflect.Bool:
		if v.Bool() {
			x = 1
		}
	case reflect.Int32, reflect.Int64:
		if x = uint64(v.Int()); f.zigzag {
			x = protowire.EncodeZigZag(v.Int())
		}
	default:
		x = v.Uint()
	}
	switch f.wire {
	case protowire.Fixed32Type:
		return protowire.AppendFixed32(b, uint32(x))
	case protowire.Fixed64Type:
		return protowire.AppendFixed64(b, x)
	}
	return protowire.AppendVarint(b, x)
}

// prefixed puts the length of what stands from start on before it.
func prefixed(b []byte, start int) []byte {
	n := len(b) - start
	size := (bits.Len(uint(n)|1) + 6) / 7
	b = append(b, make([]byte, size)...)
	copy(b[start+size:], b[start:start+n])
	protowire.AppendVarint(b[:start], uint64(n))
	return b
}
