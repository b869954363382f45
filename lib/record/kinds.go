package record

import (
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// firstBody is the lowest field number of Record's oneof.
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
