package image

import (
	"fmt"
	"slices"

	"floe/lib/mem"
	"floe/lib/record"
)

// maxSpans bounds the ranges of a vDSO's record.
const maxSpans = 1 << 14

// addVdso keeps the record of a vDSO, and has the mappings say what it says:
// floe's own are none of the process's, and some stand for droppable ones.
func (im *Image) addVdso(v *record.Vdso) error {
	if err := put(im.Vdsos, v.MmId, v, "vDSO of address space"); err != nil {
		return err
	}
	for _, spans := range [][]*record.Vdso_Span{v.Floe, v.Droppable} {
		if err := checkSpans(spans); err != nil {
			return fmt.Errorf("vDSO of address space %d: %w", v.MmId, err)
		}
	}
	vmas := im.Vmas[v.MmId]
	vmas = carve(vmas, v.Floe, func(*record.Vma) bool { return false })
	vmas = carve(vmas, v.Droppable, func(part *record.Vma) bool {
		if part.Kind == record.Vma_ANON_PRIVATE && !slices.Contains(part.Flags, mem.Droppable) {
			part.Flags = append(slices.Clone(part.Flags), mem.Droppable)
		}
		return true
	})
	im.Vmas[v.MmId] = vmas
	return nil
}

func checkSpans(spans []*record.Vdso_Span) error {
	if len(spans) > maxSpans {
		return fmt.Errorf("%d ranges; %d are a lot", len(spans), maxSpans)
	}
	var last uint64
	for _, s := range spans {
		if s.Start >= s.End || s.Start < last || s.Start%pageSize != 0 || s.End%pageSize != 0 {
			return fmt.Errorf("range %x-%x is malformed or out of order", s.Start, s.End)
		}
		last = s.End
	}
	return nil
}

// carve cuts mappings at the edges of ranges, both in order, and calls inside
// for a copy of each part within a range; false leaves it out.
func carve(vmas []*record.Vma, spans []*record.Vdso_Span, inside func(*record.Vma) bool) []*record.Vma {
	if len(spans) == 0 {
		return vmas
	}
	out := make([]*record.Vma, 0, len(vmas))
	for _, v := range vmas {
		for len(spans) > 0 && spans[0].End <= v.Start {
			spans = spans[1:]
		}
		at := v.Start
		for i := 0; i < len(spans) && spans[i].Start < v.End; i++ {
			from, to := max(spans[i].Start, v.Start), min(spans[i].End, v.End)
			if at < from {
				out = append(out, cut(v, at, from))
			}
			if part := cut(v, from, to); inside(part) {
				out = append(out, part)
			}
			at = to
		}
		if at == v.Start {
			out = append(out, v)
		} else if at < v.End {
			out = append(out, cut(v, at, v.End))
		}
	}
	return out
}

// Without is mappings without what lies in ranges, both in order.
func Without(vmas []*record.Vma, spans []*record.Vdso_Span) []*record.Vma {
	return carve(vmas, spans, func(*record.Vma) bool { return false })
}

// cut is a part of a mapping.
func cut(v *record.Vma, start, end uint64) *record.Vma {
	part := *v
	part.Start, part.End = start, end
	if v.Kind != record.Vma_ANON_PRIVATE {
		part.Offset += start - v.Start
	}
	return &part
}
