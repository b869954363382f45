package record

import "fmt"

// padOverhead is the most that a pad adds to a frame beyond its own bytes: its
// tag, its length, and a longer length of the record.
const padOverhead = 8

// filler is what pads are cut from; read only.
var filler [3 * 4096]byte

// pad fills rec.Pad so that the frame, which has none so far, ends on a
// multiple of align. Some sizes of a frame can't be had (where a length grows
// by a byte); then one longer by align can.
func (w *Writer) pad(rec *Record, frame []byte, align int) ([]byte, error) {
	over := int((w.off + int64(len(frame))) % int64(align))
	if over == 0 {
		return frame, nil
	}
	d := decoder{b: frame}
	d.varint()
	bare := len(d.b)
	for need := align - over; need <= 2*align+padOverhead; need += align {
		for k := need; k >= max(need-padOverhead, 1); k-- {
			n := bare + sizeVarint(padField<<wireBits) + sizeBytes(k)
			if (w.off+int64(sizeBytes(n)))%int64(align) == 0 {
				rec.Pad = padBytes(k)
				return Marshal(rec)
			}
		}
	}
	return nil, fmt.Errorf("record: no pad aligns a payload to %d bytes", align)
}

// sizeBytes is what n bytes take with their length.
func sizeBytes(n int) int { return sizeVarint(uint64(n)) + n }

// padField is the number of Record.pad.
const padField = 4

func padBytes(k int) []byte {
	if k > len(filler) {
		return make([]byte, k)
	}
	return filler[:k]
}
