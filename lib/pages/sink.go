package pages

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"floe/lib/record"
)

// output is the sink of a dump: what a record.Writer writes to, past its
// buffer.
type output struct {
	w    *record.Writer
	f    *os.File
	room reserve
	vecs [][]byte // put and not written
	size int64    // bytes in vecs
}

// newOutput takes over from w, which writes to f, until the dump is done.
func newOutput(w *record.Writer, f *os.File) (*output, error) {
	if err := w.Flush(); err != nil {
		return nil, err
	}
	unix.FcntlInt(f.Fd(), unix.F_SETPIPE_SZ, BlockSize) // if it is a pipe: fewer switches
	return &output{w: w, f: f, room: openReserve(f)}, nil
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
	conn, err := o.f.SyscallConn()
	if err != nil {
		return err
	}
	for len(vecs) > 0 {
		var n int
		var failed error
		err := conn.Write(func(fd uintptr) bool {
			n, failed = unix.Writev(int(fd), vecs)
			return failed != unix.EAGAIN // then it is called again when there is room
		})
		if err != nil {
			return err
		}
		if failed != nil && failed != unix.EINTR {
			return fmt.Errorf("write to %s: %w", o.f.Name(), failed)
		}
		vecs = skipVecs(vecs, max(n, 0))
	}
	return nil
}

func (o *output) close() error { return o.room.close() }

// skipVecs is vecs without their first n bytes.
func skipVecs(vecs [][]byte, n int) [][]byte {
	for len(vecs) > 0 && n >= len(vecs[0]) {
		n -= len(vecs[0])
		vecs = vecs[1:]
	}
	if n > 0 {
		vecs[0] = vecs[0][n:]
	}
	return vecs
}
