package record

import (
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// firstBody is the lowest field number of Record's oneof; smaller ones are
// fields of Record itself.
const firstBody = 16

// bodyField is the number of the oneof's field in a frame; 0 if there is none.
func bodyField(frame []byte) uint32 {
	_, n := protowire.ConsumeVarint(frame)
	for b := frame[max(n, 0):]; len(b) > 0; {
		num, _, n := protowire.ConsumeField(b)
		if n < 0 {
			return 0
		}
		if num >= firstBody {
			return uint32(num)
		}
		b = b[n:]
	}
	return 0
}

// kindName is a body's name in record.proto, for messages.
func kindName(body int32) string {
	if body == 0 {
		return "empty"
	}
	d := (*Record)(nil).ProtoReflect().Descriptor().Fields().ByNumber(protowire.Number(body))
	if d == nil {
		return "unknown"
	}
	return string(d.Name())
}

// Kind is the name of a record's body, as in record.proto: "task".
func (x *Record) Kind() string {
	m := x.ProtoReflect()
	if d := m.WhichOneof(m.Descriptor().Oneofs().ByName("body")); d != nil {
		return string(d.Name())
	}
	return "unknown"
}

// maxKinds bounds how many kinds of records a stream may have.
const maxKinds = 1024

// kinds counts frames by kind, for the index.
type kinds map[uint32]uint64

func (k kinds) list() []*Index_Kind {
	var out []*Index_Kind
	for field, n := range k {
		out = append(out, &Index_Kind{Field: field, Records: n})
	}
	slices.SortFunc(out, func(a, b *Index_Kind) int { return int(a.Field) - int(b.Field) })
	return out
}

// equal tells whether an index has these counts.
func (k kinds) equal(index []*Index_Kind) bool {
	return slices.EqualFunc(k.list(), index, func(a, b *Index_Kind) bool {
		return a.Field == b.Field && a.Records == b.Records
	})
}
