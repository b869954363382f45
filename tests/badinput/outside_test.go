package badinput

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"floe/lib/record"
	"floe/tests/harness"
)

// holder has a fifo with something in it, a locked file and a device open.
const holder = `
import os, fcntl, time
os.mkfifo('fifo'); open('locked', 'w').write('x')
f = os.open('fifo', os.O_RDWR)
os.write(f, b'for nobody else')
l = os.open('locked', os.O_RDWR)
fcntl.flock(l, fcntl.LOCK_EX)
fcntl.lockf(os.open('locked', os.O_RDWR), fcntl.LOCK_EX)
d = os.open('/dev/full', os.O_WRONLY)
print('begin', flush=True)
os.dup2(os.open('/dev/null', os.O_RDWR), 1); os.dup2(1, 2); os.dup2(1, 0)
time.sleep(1000)
`

// TestOutsideUntouched: an image that turns out to be damaged at its very end
// has opened no device, taken no lock and written into no fifo, whether it comes
// from a file or through a pipe.
func TestOutsideUntouched(t *testing.T) {
	v := harness.Launch(t, &harness.Victim{Name: "holder", Args: []string{"python3", "-c", holder}}, nil)
	path := filepath.Join(harness.Scratch, "outside")
	v.Checkpoint(t, path, "")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(whole)
	damaged[len(damaged)-1] ^= 1
	w := watchOpens(t, filepath.Join(v.Dir, "fifo"), filepath.Join(v.Dir, "locked"), "/dev/full")
	fifo, err := unix.Open(filepath.Join(v.Dir, "fifo"), unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fifo)
	w.opened(t)
	untouched := func(t *testing.T) {
		t.Helper()
		if got := w.opened(t); len(got) > 0 {
			t.Errorf("opened before the image was verified: %v", got)
		}
		if n, err := unix.Read(fifo, make([]byte, 64)); n > 0 {
			t.Errorf("%d bytes in the fifo (%v)", n, err)
		}
		nothingLeft(t)
	}
	t.Run("pipe", func(t *testing.T) {
		judge(t, "restore", feed(t, "restore", []string{"-d"}, damaged), badInput)
		untouched(t)
	})
	t.Run("file", func(t *testing.T) {
		bad := filepath.Join(harness.Scratch, "outside-damaged")
		if err := os.WriteFile(bad, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		judge(t, "restore", harness.StartMeasured(t, nil, nil, "restore", "-d", bad), badInput)
		untouched(t)
	})
	// The test would see it: the image as it was opens all three.
	unix.Close(fifo)
	w.opened(t)
	v.Restore(t, path, "")
	if got := w.opened(t); len(got) < 3 {
		t.Errorf("the whole image has opened only %v", got)
	}
}

// opens tells of files that somebody opens (inotify(7)).
type opens struct {
	fd    int
	paths map[int32]string
}

func watchOpens(t *testing.T, paths ...string) *opens {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	w := &opens{fd, map[int32]string{}}
	for _, p := range paths {
		n, err := unix.InotifyAddWatch(fd, p, unix.IN_OPEN)
		if err != nil {
			t.Fatalf("inotify of %s: %v", p, err)
		}
		w.paths[int32(n)] = p
	}
	return w
}

// opened lists the paths that were opened since it was asked last.
func (w *opens) opened(t *testing.T) map[string]int {
	t.Helper()
	list := map[string]int{}
	buf := make([]byte, 64<<10)
	for {
		n, err := unix.Read(w.fd, buf)
		if err != nil || n <= 0 {
			return list
		}
		for b := buf[:n]; len(b) >= unix.SizeofInotifyEvent; {
			wd := int32(b[0]) | int32(b[1])<<8 | int32(b[2])<<16 | int32(b[3])<<24
			list[w.paths[wd]]++
			size := int(b[12]) | int(b[13])<<8
			b = b[unix.SizeofInotifyEvent+size:]
		}
	}
}

// TestMappedRegular: what an image has as a program or a mapped file is opened
// when it is a regular file, here and in the image. A fifo would be waited for,
// and a device might do something.
func TestMappedRegular(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Stat(fifo, &st); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]uint32{"as the image says": unix.S_IFIFO | 0o600, "as a file": unix.S_IFREG | 0o755} {
		for _, of := range []string{"program", "library"} {
			t.Run(of+"/"+name, func(t *testing.T) {
				image := wholeImage(t)
				exe := uint64(0)
				for _, f := range frames(t, image) {
					if mm := f.Record.GetMm(); mm != nil {
						exe = mm.ExeFile
					}
				}
				bad := rebuild(t, image, func(_ int, r *record.Record) bool {
					f := r.GetFile()
					if f != nil && (f.FileId == exe) == (of == "program") && f.Mode&unix.S_IFMT == unix.S_IFREG {
						f.Path, f.Mode, f.Dev, f.Ino = []byte(fifo), mode, st.Dev, st.Ino
					}
					return true
				})
				began := time.Now()
				got := judge(t, "restore", feed(t, "restore", []string{"-d", "--force-files"}, bad), failed, badInput)
				if !strings.Contains(got.line, "fifo") {
					t.Errorf("it doesn't say what is in the way: %s", got.line)
				}
				if time.Since(began) > harness.Limit/2 {
					t.Error("it waited for the fifo")
				}
				nothingLeft(t)
			})
		}
	}
}
