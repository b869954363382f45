package record

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// scanned is what can be told of an encoded record before it is decoded.
type scanned struct {
	body    int32 // number in the oneof; 0: it has none
	memory  int   // bytes that it takes decoded, at most
	unknown bool  // something in it that this version does not know
}

// scan walks over an encoded record without setting memory aside. It refuses
// what is no protobuf, and what would take more than MaxDecoded.
func scan(b []byte) (scanned, error) {
	sh := shapeOf(recordType)
	s := scanned{memory: sh.size}
	err := s.message(b, sh, true)
	s.unknown = s.unknown || s.body == 0
	return s, err
}

// take counts memory.
func (s *scanned) take(n int) error {
	if s.memory += n; s.memory > MaxDecoded {
		return fmt.Errorf("a record that takes more than %d bytes in memory: %w", MaxDecoded, ErrTooLarge)
	}
	return nil
}

var (
	errTwoBodies = errors.New("a record with two bodies")
	errMalformed = errors.New("not a record")
)

func (s *scanned) message(b []byte, sh *shape, top bool) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errMalformed
		}
		if top && num >= firstBody {
			if s.body != 0 {
				return errTwoBodies
			}
			s.body = int32(num)
		}
		b = b[n:]
		if n = valueSize(typ, b); n < 0 {
			return errMalformed
		}
		if err := s.value(num, typ, b[:n], sh); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// valueSize is the bytes that a field's value takes at the start of b; negative
// when it is cut or malformed. Groups are not part of the format.
func valueSize(typ protowire.Type, b []byte) (n int) {
	switch typ {
	case protowire.VarintType:
		_, n = protowire.ConsumeVarint(b)
	case protowire.Fixed32Type:
		_, n = protowire.ConsumeFixed32(b)
	case protowire.Fixed64Type:
		_, n = protowire.ConsumeFixed64(b)
	case protowire.BytesType:
		_, n = protowire.ConsumeBytes(b)
	default:
		return -1
	}
	return n
}

// oneofWrapper is what holds a member of a oneof, less the member itself.
const oneofWrapper = 8

func (s *scanned) value(num protowire.Number, typ protowire.Type, b []byte, sh *shape) error {
	var f field
	if int(num) < len(sh.fields) {
		f = sh.fields[num]
	}
	packed := f.repeated && f.wire != protowire.BytesType && typ == protowire.BytesType
	if !f.known || typ != f.wire && !packed {
		s.unknown = true
		return s.take(2 * (len(b) + 8)) // kept, in a slice that grows
	}
	if f.oneof {
		if err := s.take(oneofWrapper + f.elem); err != nil {
			return err
		}
	}
	switch {
	case packed:
		// Each element of a varint list takes a byte or more.
		_, n := protowire.ConsumeVarint(b)
		return s.take(2 * f.elem * (len(b) - n))
	case f.repeated:
		if err := s.take(2 * f.elem); err != nil {
			return err
		}
	}
	if f.wire != protowire.BytesType {
		return nil
	}
	inner, _ := protowire.ConsumeBytes(b)
	if f.message == nil {
		return s.take(len(inner) + 8)
	}
	message := shapeOf(f.message)
	if err := s.take(message.size); err != nil {
		return err
	}
	return s.message(inner, message, false)
}
