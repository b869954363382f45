package pages

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"floe/lib/record"
)

// output is the sink of a dump: a regular file, which workers write at once,
// each at its own offset; or anything else, written in order.
type output struct {
	w    *record.Writer
	f    *os.File
	file bool
	base int64 // file offset of the stream's start
}

// newOutput takes over from w, which writes to f, until close.
func newOutput(w *record.Writer, f *os.File) (*output, error) {
	if err := w.Flush(); err != nil {
		return nil, err
	}
	o := &output{w: w, f: f}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	// With O_APPEND pwrite(2) appends, wherever it was told to write.
	if st.Mode&unix.S_IFMT == unix.S_IFREG && flags&unix.O_APPEND == 0 {
		at, err := f.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, err
		}
		o.file, o.base = true, at-w.Offset()
	}
	if st.Mode&unix.S_IFMT == unix.S_IFIFO {
		unix.FcntlInt(f.Fd(), unix.F_SETPIPE_SZ, BlockSize) // best effort: fewer switches
	}
	return o, nil
}

func (o *output) put(rec *record.Record, payload []byte, crc uint32) (int64, func() error, error) {
	align := 1
	if rec.GetPages().GetEncoding() == record.Pages_RAW {
		align = PageSize
	}
	frame, payloadOff, err := o.w.FrameFor(rec, len(payload), crc, align)
	if err != nil {
		return 0, nil, err
	}
	off := payloadOff - int64(len(frame))
	if o.file {
		return off, func() error { return o.writeAt(frame, payload, o.base+off) }, nil
	}
	if _, err = o.f.Write(frame); err == nil && len(payload) > 0 {
		_, err = o.f.Write(payload)
	}
	return off, nil, err
}

func (o *output) writeAt(frame, payload []byte, off int64) error {
	if _, err := o.f.WriteAt(frame, off); err != nil {
		return err
	}
	if len(payload) == 0 {
		return nil
	}
	_, err := o.f.WriteAt(payload, off+int64(len(frame)))
	return err
}

// close lets the writer go on behind what was written.
func (o *output) close() error {
	if !o.file {
		return nil
	}
	_, err := o.f.Seek(o.base+o.w.Offset(), io.SeekStart)
	return err
}
