package fds

import (
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"floe/lib/kabi"
)

// Many at once, so that the main thread gets its turn: none may be left with a
// table of its own, least of all that one.
func TestOwnTable(t *testing.T) {
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if err := inOwnTable(func() error {
				if err := unix.Dup3(0, 300, 0); err != nil {
					return err
				}
				return unix.Close(1)
			}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if _, err := unix.FcntlInt(300, unix.F_GETFD, 0); !errors.Is(err, unix.EBADF) {
		t.Errorf("number 300 of this process: %v, want EBADF", err)
	}
	if _, err := unix.FcntlInt(1, unix.F_GETFD, 0); err != nil {
		t.Errorf("number 1 of this process: %v", err)
	}
	me := int32(os.Getpid())
	for range 1000 {
		own := 0
		for _, tid := range threadsOf(t, me) {
			if r, err := kcmp(me, tid, kabi.KCMP_FILES, 0, 0); err == nil && r != kcmpSame {
				own++
			}
		}
		if own == 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Error("threads with tables of their own are left")
}
