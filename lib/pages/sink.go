package pages

import (
	"golang.org/x/sys/unix"

	"floe/lib/record"
	"floe/lib/stage"
)

// output is the sink of a dump: what a record.Writer writes to, past its
// buffer.
type output struct {
	w    *record.Writer
	out  *stage.Outlet
	room reserve
	vecs [][]byte // put and not written
	size int64    // bytes in vecs
}

// newOutput takes over from w, which writes to out, until the dump is done.
func newOutput(w *record.Writer, out *stage.Outlet) (*output, error) {
	if err := w.Flush(); err != nil {
		return nil, err
	}
	f := out.File()
	unix.FcntlInt(f.Fd(), unix.F_SETPIPE_SZ, BlockSize) // if it is a pipe: fewer switches
	return &output{w: w, out: out, room: openReserve(f)}, nil
}

func (o *output) put(rec *record.Record, payload []byte, crc uint32) (int64, error) {
	align := 1
	if rec.GetPages().GetEncoding() == record.Pages_RAW {
		align = PageSize
	}
	frame, at, err := o.w.FrameFor(rec, len(payload), crc, align)
	if err != nil {
		return 0, err
	}
	o.vecs = append(o.vecs, frame)
	if len(payload) > 0 {
		o.vecs = append(o.vecs, payload)
	}
	o.size += int64(len(frame) + len(payload))
	return at - int64(len(frame)), nil
}

func (o *output) write() error {
	if err := o.w.Flush(); err != nil { // the magic, if nothing was written before
		return err
	}
	o.room.next(o.size)
	vecs := o.vecs
	o.vecs, o.size = o.vecs[:0], 0
	return o.out.Writev(vecs)
}

func (o *output) close() error { return o.room.close() }
