package plan

import (
	"fmt"
	"sort"
)

// Bounds of user addresses, bytes. The kernel gives nothing below holeFloor to
// a process by default; the first puppet's own program lies below it too.
const (
	holeFloor   = 1 << 20
	UserCeiling = 1<<47 - 4096
)

// Span is a range of addresses; End is exclusive.
type Span struct{ Start, End uint64 }

// Hole finds size bytes that none of used overlaps, as low as there are any.
func Hole(used []Span, size uint64) (uint64, error) {
	sort.Slice(used, func(i, j int) bool { return used[i].Start < used[j].Start })
	at := uint64(holeFloor)
	for _, s := range used {
		if s.Start >= at && s.Start-at >= size {
			return at, nil
		}
		at = max(at, s.End)
	}
	if at+size <= UserCeiling {
		return at, nil
	}
	return 0, fmt.Errorf("no %d bytes of address space that every process of the image leaves free", size)
}
