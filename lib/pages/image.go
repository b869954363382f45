package pages

import (
	"floe/lib/image"
	"floe/lib/record"
)

// ImageLayout says where the pages of an image may go.
func ImageLayout(im *image.Image) *Layout {
	l := NewLayout()
	l.sizes = map[uint64]uint64{}
	for mm, vmas := range im.Vmas {
		l.Add(mm, vmas)
		for _, v := range vmas {
			if _, known := l.sizes[v.FileId]; v.FileId != 0 && !known {
				l.sizes[v.FileId] = im.File(v.FileId).GetSize()
			}
		}
	}
	return l
}

// spacesOf lists an image's address spaces in the order of its tasks.
func spacesOf(im *image.Image) []space {
	at := map[uint64]int{}
	var out []space
	for _, t := range im.Tasks {
		if t.State == record.Task_ZOMBIE || t.MmId == 0 {
			continue
		}
		i, ok := at[t.MmId]
		if !ok {
			i = len(out)
			at[t.MmId] = i
			out = append(out, space{mm: t.MmId, vmas: im.Vmas[t.MmId]})
		}
		for _, tid := range t.Tids {
			out[i].tids = append(out[i].tids, int(tid))
		}
	}
	return out
}
