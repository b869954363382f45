package stage

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Outlet writes a stage's output, and counts what has gone out, so that freeze
// can tell a slow reader from none.
type Outlet struct {
	f     *os.File
	p     *progress
	piece int // bytes in one write to a file at most
}

// NewOutlet writes to f for nobody who looks.
func NewOutlet(f *os.File) *Outlet { return newOutlet(f, &progress{}) }

func newOutlet(f *os.File, p *progress) *Outlet { return &Outlet{f: f, p: p, piece: firstPiece} }

// File is what it writes to.
func (o *Outlet) File() *os.File { return o.f }

// A write to a file can't be interrupted, so what goes on slowly is seen to go
// on only if each write is short.
const (
	minPiece   = 16 << 10
	firstPiece = 1 << 20
	maxPiece   = 4 << 20
	slow       = 500 * time.Millisecond
)

// Write writes all of b.
func (o *Outlet) Write(b []byte) (int, error) {
	if err := o.Writev([][]byte{b}); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Writev writes all of vecs, which are used up.
func (o *Outlet) Writev(vecs [][]byte) error {
	conn, err := o.f.SyscallConn()
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	o.p.writing.Store(int32(unix.Gettid()))
	defer o.p.writing.Store(0)
	for vecs = skipVecs(vecs, 0); len(vecs) > 0; {
		var n int
		var failed error
		begun := time.Now()
		err := conn.Write(func(fd uintptr) bool {
			n, failed = unix.Writev(int(fd), firstVecs(vecs, o.piece))
			return failed != unix.EAGAIN // then it is called again when there is room
		})
		if err != nil {
			return err
		}
		if failed != nil && !errors.Is(failed, unix.EINTR) {
			return fmt.Errorf("write to %s: %w", o.f.Name(), failed)
		}
		o.p.step(max(n, 0))
		o.adapt(time.Since(begun))
		vecs = skipVecs(vecs, max(n, 0))
	}
	return nil
}

// adapt chooses the size of the next write.
func (o *Outlet) adapt(took time.Duration) {
	if took > slow {
		o.piece = max(o.piece/4, minPiece)
	} else if took < slow/10 {
		o.piece = min(o.piece*2, maxPiece)
	}
}

// firstVecs is the first n bytes of vecs, or less where there are many.
func firstVecs(vecs [][]byte, n int) [][]byte {
	const most = 1024 // IOV_MAX
	for i, v := range vecs[:min(len(vecs), most)] {
		if n -= len(v); n < 0 {
			part := append([][]byte(nil), vecs[:i+1]...)
			part[i] = v[:len(v)+n]
			return part
		}
	}
	return vecs[:min(len(vecs), most)]
}

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

// drained waits until whoever reads a pipe or socket has taken all of it, or is
// gone.
func (o *Outlet) drained(over int) error {
	o.p.waiting.Store(true)
	defer o.p.waiting.Store(false)
	left := 0
	for wait := 1; ; wait = min(2*wait, 50) {
		n, err := o.unread()
		if err != nil || n == 0 {
			return err
		}
		if n != left {
			o.p.step(1)
		}
		left = n
		fds := []unix.PollFd{{Fd: int32(over)}, {Fd: int32(o.f.Fd())}}
		_, err = unix.Poll(fds, wait)
		switch {
		case err != nil && !errors.Is(err, unix.EINTR):
			return fmt.Errorf("poll: %w", err)
		case fds[0].Revents != 0:
			return nil // the next message to freeze says so
		case fds[1].Revents&unix.POLLERR != 0:
			return unix.EPIPE
		}
	}
}

// unread is how many bytes nobody has read yet. Of what can't tell, none are.
func (o *Outlet) unread() (int, error) {
	st, err := o.f.Stat()
	if err != nil {
		return 0, err
	}
	request := uint(unix.TIOCINQ) // FIONREAD
	if st.Mode()&os.ModeSocket != 0 {
		request = unix.SIOCOUTQ
	}
	n, err := unix.IoctlGetInt(int(o.f.Fd()), request)
	if err != nil {
		return 0, nil
	}
	return n, nil
}
