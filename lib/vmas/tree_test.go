package vmas

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"floe/lib/record"
)

func itoa(n int) string { return strconv.Itoa(n) }

// forked makes two objects that a parent and a child share, and one that the
// child has alone. It says both pids and, with the names, where they are.
const forked = `
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_ulong
def shared(n): return libc.mmap(None, ctypes.c_ulong(n), 3, 0x21, -1, ctypes.c_ulong(0))
a, b = shared(0x2000), shared(0x3000)
ready, go = os.pipe()
pid = os.fork()
c = shared(0x4000)
if not pid:
    os.write(go, b"x")
    sys.stdin.read()
    os._exit(0)
os.read(ready, 1)
print("pids", os.getpid(), pid)
print("a %x\nb %x\nc %x\nready" % (a, b, c), flush=True)
sys.stdin.read()
`

func forkedPids(t *testing.T, v *victim) (parent, child int) {
	t.Helper()
	if _, err := fmt.Sscan(strings.Join(v.lines[0][1:], " "), &parent, &child); err != nil {
		t.Fatal(err)
	}
	return parent, child
}

func TestSharedMemory(t *testing.T) {
	v := python(t, forked)
	parent, child := forkedPids(t, v)
	im := tree(t, parent, child)
	if err := collect(t, im); err != nil {
		t.Fatal(err)
	}
	ids := map[string][2]uint64{}
	for _, name := range []string{"a", "b", "c"} {
		p, c := at(t, im, 1, v.addr(t, name)), at(t, im, 2, v.addr(t, name))
		if p.Kind != record.Vma_ANON_SHARED || c.Kind != record.Vma_ANON_SHARED || p.ShmemSize != c.ShmemSize {
			t.Errorf("%s: %v and %v", name, p, c)
		}
		ids[name] = [2]uint64{p.ShmemId, c.ShmemId}
	}
	if ids["a"][0] != ids["a"][1] || ids["b"][0] != ids["b"][1] || ids["c"][0] == ids["c"][1] || ids["a"][0] == ids["b"][0] {
		t.Errorf("shared objects: %v", ids)
	}
	if im.Mms[1].ExeFile != im.Mms[2].ExeFile {
		t.Errorf("programs: %d and %d", im.Mms[1].ExeFile, im.Mms[2].ExeFile)
	}
}

func TestSharedOutside(t *testing.T) {
	parent, child := forkedPids(t, python(t, forked))
	for _, half := range [][2]int{{parent, child}, {child, parent}} {
		err := collect(t, tree(t, half[0]))
		if want := fmt.Sprintf("shares memory with task %d (python3, at ", half[1]); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
}

// TestSameMemory: tasks with one memory have one Mm.
func TestSameMemory(t *testing.T) {
	v := kinds(t, "none")
	im := tree(t, v.pid, v.pid)
	im.Tasks[1].MmId = 1
	im.Tasks = append(im.Tasks, &record.Task{Pid: 1 << 30, State: record.Task_ZOMBIE})
	if err := collect(t, im); err != nil {
		t.Fatal(err)
	}
	if len(im.Mms) != 1 || uint64(len(im.Vmas[1])) != im.Mms[1].Vmas {
		t.Errorf("%d Mms, %d Vmas", len(im.Mms), len(im.Vmas[1]))
	}
}

func TestGone(t *testing.T) {
	v := kinds(t, "none")
	im := tree(t, v.pid)
	im.Tasks[0].Pid = 1 << 30
	if err := collect(t, im); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("no such task: %v", err)
	}
	dead := tree(t, v.pid)
	if err := unix.Kill(v.pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for {
		b, err := os.ReadFile("/proc/" + itoa(v.pid) + "/stat")
		if err != nil || strings.Contains(string(b), ") Z ") {
			break
		}
	}
	if err := collect(t, dead); err == nil || !strings.Contains(err.Error(), "was it killed?") {
		t.Errorf("a dead task: %v", err)
	}
}
