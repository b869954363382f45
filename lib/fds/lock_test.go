package fds

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"floe/lib/record"
)

const lockVictim = `
for f in "posix", "flock", "ofd": open(f, "w").write("x" * 100)
os.dup2(os.open("posix", os.O_RDWR), 60)  # and 3
fcntl.lockf(60, fcntl.LOCK_EX, 10, 20)
fcntl.lockf(60, fcntl.LOCK_SH, 0, 1 << 30)
os.dup2(60, 63)
os.dup2(os.open("flock", os.O_RDONLY), 61); fcntl.flock(61, fcntl.LOCK_EX)
os.dup2(os.open("ofd", os.O_RDWR), 62)
fcntl.fcntl(62, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 5, 7, 0))
pid = os.fork()
if pid == 0: time.sleep(60)
ready(pid); wait()
`

func TestLocks(t *testing.T) {
	v := python(t, lockVictim)
	im := v.save()
	v.end()
	for _, p := range v.pids {
		awaitGone(t, p)
	}
	o := reopenImage(t, im, OpenOptions{})
	var got []string
	for c := range o.Locks()[v.pids[0]] {
		if c.Nr == unix.SYS_FLOCK { // by the process that took it
			got = append(got, fmt.Sprintf("fd %d: flock %d", c.Args[0].Val, c.Args[1].Val))
			if err := unix.Flock(o.fd(0, int32(c.Args[0].Val)), int(c.Args[1].Val)); err != nil {
				t.Error(err)
			}
			continue
		}
		b := c.Args[2].Bytes
		got = append(got, fmt.Sprintf("fd %d: type %d, %d at %d", c.Args[0].Val, b[0], binary.LittleEndian.Uint64(b[16:]), binary.LittleEndian.Uint64(b[8:])))
	}
	slices.Sort(got)
	if want := []string{"fd 3: type 0, 0 at 1073741824", "fd 3: type 1, 10 at 20", "fd 4: flock 6"}; !slices.Equal(got, want) {
		t.Errorf("locks of tasks: %q, want %q", got, want)
	}
	other, err := os.OpenFile(filepath.Join(v.cmd.Dir, "flock"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := unix.Flock(int(other.Fd()), unix.LOCK_SH|unix.LOCK_NB); err != unix.EAGAIN {
		t.Errorf("another's flock: %v, want EAGAIN", err)
	}
	ofd, err := os.OpenFile(filepath.Join(v.cmd.Dir, "ofd"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer ofd.Close()
	lk := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(ofd.Fd(), unix.F_OFD_GETLK, &lk); err != nil || lk.Type != unix.F_WRLCK || lk.Start != 5 || lk.Len != 7 {
		t.Errorf("the OFD lock: %+v, %v", lk, err)
	}
}

func TestLockTakenByAnother(t *testing.T) {
	v := python(t, lockVictim)
	im := v.save()
	// The victim lives and has its locks still.
	if s, err := Open(im, OpenOptions{}); err == nil {
		s.Close()
		t.Error("opened though the locks are taken")
	} else if !strings.Contains(err.Error(), "has locked the file since") {
		t.Error(err)
	}
}

func TestParseLock(t *testing.T) {
	for s, want := range map[string]*record.FileLock{
		"1: POSIX  ADVISORY  WRITE 12345 08:01:1234 0 EOF":  {Kind: record.FileLock_POSIX, Exclusive: true},
		"2: POSIX  ADVISORY  READ 12345 08:01:1234 128 128": {Kind: record.FileLock_POSIX, Start: 128, Len: 1},
		"1: FLOCK  ADVISORY  WRITE 0 00:1b:77 0 EOF":        {Kind: record.FileLock_FLOCK, Exclusive: true},
		"1: OFDLCK ADVISORY  READ -1 08:01:1234 5 11":       {Kind: record.FileLock_OFD, Start: 5, Len: 7},
		"1: LEASE  ACTIVE    READ 12345 08:01:1234 0 EOF":   nil,
		"1: POSIX  MANDATORY WRITE 1 08:01:1234 0 EOF":      nil,
		"1: POSIX  ADVISORY  WRITE 1 08:01:1234 9 3":        nil,
		"1: POSIX  ADVISORY  WRITE 1 08:01:1234 x EOF":      nil,
		"1: POSIX  ADVISORY  UNLCK 1 08:01:1234 0 EOF":      nil,
		"": nil,
	} {
		got, err := parseLock(s)
		if (err == nil) != (want != nil) {
			t.Errorf("%q: %v", s, err)
			continue
		}
		if want != nil && (got.Kind != want.Kind || got.Exclusive != want.Exclusive || got.Start != want.Start || got.Len != want.Len) {
			t.Errorf("%q: %v, want %v", s, got, want)
		}
	}
}

// awaitGone waits until a killed task has let go of what it had.
func awaitGone(t testing.TB, pid int32) {
	t.Helper()
	for range 2000 {
		if names, err := os.ReadDir("/proc/" + itoa(int(pid)) + "/fd"); err != nil || len(names) == 0 {
			return
		}
		unix.Nanosleep(&unix.Timespec{Nsec: 1e6}, nil)
	}
	t.Fatalf("task %d does not end", pid)
}
