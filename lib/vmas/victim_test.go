package vmas

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"floe/lib/image"
	"floe/lib/procfs"
	"floe/lib/record"
)

var scratch string

func TestMain(m *testing.M) {
	if os.Getuid() != 0 {
		fmt.Fprintln(os.Stderr, "these tests need root")
		os.Exit(1)
	}
	// Victims get nothing but what a test gives them, whatever ran the tests.
	_ = unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	var err error
	if scratch, err = os.MkdirTemp("", "floe-vmas-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(scratch)
	os.Exit(code)
}

// compileKinds compiles the victim once.
var compileKinds = sync.OnceValues(func() (string, error) {
	out := filepath.Join(scratch, "kinds")
	b, err := exec.Command("gcc", "-O1", "-Wall", "-Wl,--build-id=0x"+kindsID, "-o", out, "testdata/kinds.c").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("gcc: %w\n%s", err, b)
	}
	return out, nil
})

const kindsID = "0123456789abcdef0123456789abcdef01234567"

// victim is a process that has said what it made, line by line, and then
// "ready".
type victim struct {
	pid   int
	lines [][]string
	say   func()
}

// kinds starts a victim with mappings of these kinds, in a directory of its
// own.
func kinds(t testing.TB, list ...string) *victim {
	t.Helper()
	path, err := compileKinds()
	if err != nil {
		t.Fatal(err)
	}
	return start(t, exec.Command(path, list...))
}

func python(t testing.TB, code string, args ...string) *victim {
	t.Helper()
	return start(t, exec.Command("/usr/bin/python3", append([]string{"-c", code}, args...)...))
}

func start(t testing.TB, cmd *exec.Cmd) *victim {
	t.Helper()
	cmd.Dir = t.TempDir()
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
		_ = cmd.Wait()
	})
	v := &victim{pid: cmd.Process.Pid, say: func() { fmt.Fprintln(in) }}
	s := bufio.NewScanner(out)
	for s.Scan() {
		if s.Text() == "ready" {
			return v
		}
		v.lines = append(v.lines, strings.Fields(s.Text()))
	}
	t.Fatalf("%v ended early: %v", cmd.Args, s.Err())
	return nil
}

// addr is where the victim says that it made a mapping.
func (v *victim) addr(t testing.TB, kind string) uint64 {
	t.Helper()
	for _, l := range v.lines {
		if l[0] == kind && len(l) == 2 {
			var a uint64
			if _, err := fmt.Sscanf(l[1], "%x", &a); err != nil {
				t.Fatal(err)
			}
			return a
		}
	}
	t.Fatalf("the victim said nothing of %s", kind)
	return 0
}

// tree is a stream's tasks as freeze would tell them, each with a memory of its
// own.
func tree(t testing.TB, pids ...int) *image.Image {
	t.Helper()
	im := image.New()
	im.Header = &record.Header{}
	for i, pid := range pids {
		s, err := procfs.ReadStat(pid)
		if err != nil {
			t.Fatal(err)
		}
		id := uint64(i + 1)
		im.Tasks = append(im.Tasks, &record.Task{
			Pid: int32(pid), Ppid: int32(s.PPID), Tids: []int32{int32(pid)}, Comm: s.Comm, StartTime: s.StartTime,
			MmId: id, FilesId: id, FsId: id, SighandId: id, Brk: 12345,
		})
	}
	return im
}

// collect collects the maps of a tree into its image, which checks the order of
// the records.
func collect(t testing.TB, im *image.Image) error {
	t.Helper()
	return Collect(im, func(r *record.Record) error {
		if err := im.Add(r, nil); err != nil {
			t.Fatalf("%v: %v", r, err)
		}
		return nil
	}, t.Logf)
}

// at finds a mapping by its address.
func at(t testing.TB, im *image.Image, mm, addr uint64) *record.Vma {
	t.Helper()
	for _, v := range im.Vmas[mm] {
		if v.Start <= addr && addr < v.End {
			return v
		}
	}
	t.Fatalf("no mapping at %x", addr)
	return nil
}

// atLeast tells whether this kernel is of a version or newer.
func atLeast(t testing.TB, major, minor int) bool {
	t.Helper()
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	var a, b int
	if _, err := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &a, &b); err != nil {
		t.Fatal(err)
	}
	return a > major || a == major && b >= minor
}
