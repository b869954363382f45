package pages

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestReserve writes 100 MiB: blocks are reserved on the way, where the
// filesystem can, and the file ends where the writing ended.
func TestReserve(t *testing.T) {
	path := filepath.Join(t.TempDir(), "img")
	write := func(flags int, before int64, truncate bool) (longest int64) {
		t.Helper()
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|flags, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		size := func() int64 {
			st, err := f.Stat()
			if err != nil {
				t.Fatal(err)
			}
			return st.Size()
		}
		if truncate {
			if err := f.Truncate(0); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := f.Seek(before, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		r := openReserve(f)
		buf := make([]byte, 1<<20+1)
		for i := range 100 {
			r.next(int64(len(buf)))
			for j := range buf {
				buf[j] = byte(i + 1)
			}
			if _, err := f.Write(buf); err != nil {
				t.Fatal(err)
			}
			longest = max(longest, size())
		}
		if err := r.close(); err != nil {
			t.Fatal(err)
		}
		end := before + 100*int64(len(buf))
		if flags&os.O_APPEND == 0 && truncate && size() != end {
			t.Errorf("%d bytes after the end, want %d", size(), end)
		}
		if at, err := f.Seek(0, io.SeekCurrent); err != nil || at != end && truncate {
			t.Errorf("the offset is %d, want %d: %v", at, end, err)
		}
		last := make([]byte, 1)
		if _, err := f.ReadAt(last, end-1); err != nil || last[0] != 100 {
			t.Errorf("the last byte is %v, want 100: %v", last, err)
		}
		return longest
	}
	const whole = 100 * (1<<20 + 1)
	var fs unix.Statfs_t
	if err := unix.Statfs(t.TempDir(), &fs); err != nil {
		t.Fatal(err)
	}
	if longest := write(0, 0, true); fs.Type == unix.EXT4_SUPER_MAGIC && longest <= whole {
		t.Errorf("nothing was reserved: the file was never longer than %d bytes", longest)
	}
	if longest := write(os.O_APPEND, 0, true); longest != whole {
		t.Errorf("a file that is appended to was %d bytes long, want %d", longest, whole)
	}
	// The middle of a file that goes on behind.
	write(0, 0, false)
	if st, err := os.Stat(path); err != nil || st.Size() != whole {
		t.Errorf("%v bytes: what is behind must stay: %v", st.Size(), err)
	}
}
