package vmas

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// overlaid mounts an overlayfs with a file "f" in its lower layer.
func overlaid(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(scratch, "overlay-") // no comma in it
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"lower", "upper", "work", "merged"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "lower/f"), make([]byte, 5*page), 0o600); err != nil {
		t.Fatal(err)
	}
	merged := filepath.Join(dir, "merged")
	options := fmt.Sprintf("lowerdir=%[1]s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", dir)
	if err := unix.Mount("overlay", merged, "overlay", 0, options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(merged, unix.MNT_DETACH) })
	return filepath.Join(merged, "f")
}

const maps = `
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_ulong
fd = os.open(sys.argv[1], os.O_RDONLY)
prot, flags = int(sys.argv[2]), int(sys.argv[3])
a = libc.mmap(None, ctypes.c_ulong(0x3000), prot, flags, fd, ctypes.c_ulong(0x1000))
for i in sys.argv[4:]:
    ctypes.memset(a + int(i) * 4096, 1, 1) if prot & 2 else ctypes.string_at(a + int(i) * 4096, 1)
print("a %x\nready" % a, flush=True)
sys.stdin.read()
`

// TestCopiedUp maps a file of the lower layer, and has it copied up or not.
func TestCopiedUp(t *testing.T) {
	for name, c := range map[string]struct {
		args   []string // protection, flags, pages that are used
		wanted bool
	}{
		"shared":               {[]string{"1", "1", "1"}, true},
		"shared, not used":     {[]string{"1", "1"}, true},
		"private":              {[]string{"1", "2", "0", "2"}, true},
		"private, no access":   {[]string{"0", "2"}, true},
		"private, some copies": {[]string{"3", "2", "0"}, true},
		"private, all copies":  {[]string{"3", "2", "0", "1", "2"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			path := overlaid(t)
			v := python(t, maps, append([]string{path}, c.args...)...)
			if err := collect(t, tree(t, v.pid)); err != nil {
				t.Fatalf("before: %v", err)
			}
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			f.Close()
			want := fmt.Sprintf("task %d (python3): %x-", v.pid, v.addr(t, "a"))
			err = collect(t, tree(t, v.pid))
			if c.wanted && (err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), "/f was copied up (overlayfs)")) || !c.wanted && err != nil {
				t.Errorf("copied up: %v", err)
			}
			if err := collect(t, tree(t, python(t, maps, append([]string{path}, c.args...)...).pid)); err != nil {
				t.Errorf("mapped after that: %v", err)
			}
		})
	}
}
