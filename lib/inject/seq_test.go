package inject

import (
	"fmt"
	"iter"
	"testing"

	"golang.org/x/sys/unix"

	"floe/lib/stub"
	"floe/lib/tracer"
)

type number int

func (n number) String() string { return fmt.Sprintf("number %d", int(n)) }

// repeat is n calls, the one at bad another one.
func repeat(n int, good stub.Call, bad int, other stub.Call) iter.Seq[stub.Call] {
	return func(yield func(stub.Call) bool) {
		for i := range n {
			c := good
			if i == bad {
				c = other
			}
			if c.Of = number(i); !yield(c) {
				return
			}
		}
	}
}

// TestSeq runs more calls than a table has room for: all of them, or up to the
// first that fails, which the error names.
func TestSeq(t *testing.T) {
	needRoot(t)
	tr := tracer.New()
	defer tr.Close()
	const n = 3*TableRoom/80 + 7
	getpid := stub.Call{What: "getpid", Nr: unix.SYS_GETPID}
	closing := stub.Call{What: "close", Nr: unix.SYS_CLOSE, Args: []stub.Arg{stub.I(-1)}}
	if err := tr.Do(func(p *tracer.Ptrace) error {
		a := NewArena(0x20000000, 1<<20)
		s, err := NewSeed(p, a)
		if err != nil {
			return err
		}
		defer s.Close()
		defer s.Kill(p)
		for _, at := range []int{0, 5, n / 2, n - 1} {
			err := a.RunSeq(p, s.TID, repeat(3, getpid, -1, getpid), repeat(n, getpid, at, closing))
			ce, ok := err.(*CallError)
			if want := fmt.Sprintf("close of number %d", at); !ok || ce.Errno != unix.EBADF || ce.What != want || ce.Index != at+3 {
				t.Errorf("call %d: %v", at, err)
			}
			may, excused, other := closing, closing, closing
			may.MayFail, excused.Excused, other.Excused = true, unix.EBADF, unix.EPERM
			for _, c := range []stub.Call{may, excused} {
				if err := a.RunSeq(p, s.TID, repeat(n, getpid, at, c)); err != nil {
					t.Errorf("call %d, which may fail: %v", at, err)
				}
			}
			if err := a.RunSeq(p, s.TID, repeat(n, getpid, at, other)); err == nil || err.Error() != fmt.Sprintf("task %d: close of number %d: bad file descriptor", s.TID, at) {
				t.Errorf("call %d, which may fail otherwise: %v", at, err)
			}
		}
		if err := a.RunSeq(p, s.TID); err != nil {
			t.Errorf("no calls: %v", err)
		}
		// Every call has run: each opens one more.
		open := stub.Call{What: "eventfd", Nr: unix.SYS_EVENTFD2}
		limit := &unix.Rlimit{Cur: 2 * n, Max: 2 * n}
		if err := unix.Prlimit(int(s.TID), unix.RLIMIT_NOFILE, limit, nil); err != nil {
			return err
		}
		if _, err := a.Run(p, s.TID, []stub.Call{{What: "close_range", Nr: unix.SYS_CLOSE_RANGE, Args: []stub.Arg{stub.I(0), stub.I(1 << 20)}}}); err != nil {
			return err
		}
		if err := a.RunSeq(p, s.TID, repeat(n, open, -1, open)); err != nil {
			return err
		}
		last, err := a.Run(p, s.TID, []stub.Call{open})
		if err == nil && last[0] != n {
			t.Errorf("%d calls have run, not %d", last[0], n)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}
