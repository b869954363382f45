package record

import "fmt"

// padOverhead is the most that a pad adds to a frame beyond its own bytes: its
// tag, its length, and a longer length of the record.
const padOverhead = 8

// pad fills rec.Pad so that the frame ends on a multiple of align. Some sizes
// of a frame can't be had (where a length grows by a byte); then one longer by
// align can.
func (w *Writer) pad(rec *Record, frame []byte, align int) ([]byte, error) {
	over := int((w.off + int64(len(frame))) % int64(align))
	if over == 0 {
		return frame, nil
	}
	for need := align - over; need <= 2*align+padOverhead; need += align {
		for k := need; k >= max(need-padOverhead, 1); k-- {
			rec.Pad = make([]byte, k)
			frame, err := Marshal(rec)
			if err != nil {
				return nil, err
			}
			if (w.off+int64(len(frame)))%int64(align) == 0 {
				return frame, nil
			}
		}
	}
	return nil, fmt.Errorf("record: no pad aligns a payload to %d bytes", align)
}
