package record

import (
	"slices"
	"strconv"
)

// firstBody is the lowest field number of Record's oneof; smaller ones are
// fields of Record itself.
const firstBody = 16

// bodyField is the number of the oneof's field in a frame; 0 if there is none.
func bodyField(frame []byte) uint32 {
	d := decoder{b: frame}
	d.varint() // its length
	for len(d.b) > 0 {
		tag := d.varint()
		if n := tag >> wireBits; n >= firstBody && d.err == nil {
			return uint32(n)
		}
		d.skip(tag & (1<<wireBits - 1))
	}
	return 0
}

// kindName is a body's name in record.proto, for messages.
func kindName(body int32) string {
	if body == 0 {
		return "empty"
	}
	if name := bodyName(body); name != "" {
		return name
	}
	return "unknown"
}

// Kind is the name of a record's body, as in record.proto: "task".
func (x *Record) Kind() string {
	if name := bodyName(bodyNumber(x.Body)); name != "" {
		return name
	}
	return "unknown"
}

// Size is the bytes that a record took in its stream, less its length prefix
// and payload, or those that it would take.
func (x *Record) Size() int {
	if x.encoded == 0 {
		b, _ := Encode(x)
		return len(b)
	}
	return x.encoded
}

// enumName is the name of an enum's value, or its number.
func enumName(names []string, x int32) string {
	if x < 0 || int(x) >= len(names) {
		return strconv.Itoa(int(x))
	}
	return names[x]
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
