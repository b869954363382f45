package pages

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"floe/lib/record"
	"floe/lib/stage"
)

// measure runs in a process of its own: a dump or a load with all workers that
// there may be, as "dump|load PID BYTES LZ4 FILE". It prints its VmHWM, KiB.
func measure(job string) {
	var what, path string
	var pid int
	var size uint64
	var lz bool
	fmt.Sscan(job, &what, &pid, &size, &lz, &path)
	spaces := []space{{mm: 7, tids: []int{pid}, vmas: []*record.Vma{{MmId: 7, Start: base, End: base + size, Prot: prw}}}}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		panic(err)
	}
	switch what {
	case "dump":
		w := record.NewWriter(f)
		out, err := newOutput(w, stage.NewOutlet(f))
		if err != nil {
			panic(err)
		}
		x, err := dump(context.Background(), spaces, out, Options{Compress: lz, Workers: MaxWorkers}, func(int) {})
		if err != nil {
			panic(err)
		}
		if err := w.EndStage("pagedump", ""); err != nil {
			panic(err)
		}
		if err := w.End(&record.Index{Blocks: x.blocks()}); err != nil {
			panic(err)
		}
	case "load", "stream":
		in := f
		if what == "stream" {
			in = nil
		}
		opt := LoadOptions{Workers: MaxWorkers, Target: func(uint64) (int, bool) { return pid, true }}
		if _, err := restore(f, in, spaces, opt); err != nil {
			panic(err)
		}
	}
	b, _ := os.ReadFile("/proc/self/status")
	_, rest, _ := strings.Cut(string(b), "VmHWM:")
	fmt.Println(strings.Fields(rest)[0])
}

// TestMemory dumps and loads a process of 512 MiB, every second page of which
// is in use, and looks at what that takes.
func TestMemory(t *testing.T) {
	const size, limit = 512 << 20, 64 << 10
	c := newChild(t)
	c.mmap(base, size/PageSize, prw, anon(), -1, 0)
	to, iov := target{pid: c.pid}, iovecs{}
	block := make([]byte, BlockSize)
	for i := range block {
		block[i] = byte(i * i >> 3)
	}
	var runs []Run
	for at := uint64(base); at < base+size; at += 2 * PageSize {
		if runs = append(runs, Run{at, 1}); len(runs) == BlockPages {
			if err := to.write(&iov, runs, block); err != nil {
				t.Fatal(err)
			}
			runs = runs[:0]
		}
	}
	for _, lz := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "img")
		for _, what := range []string{"dump", "load", "stream"} {
			cmd := exec.Command("/proc/self/exe")
			cmd.Env = append(os.Environ(), fmt.Sprintf("FLOE_PAGES_MEASURE=%s %d %d %v %s", what, c.pid, size, lz, path))
			cmd.Stderr = os.Stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			var hwm int
			fmt.Sscan(string(out), &hwm)
			t.Logf("%s, lz4 %v: %d KiB", what, lz, hwm)
			if hwm == 0 || hwm > limit {
				t.Errorf("%s, lz4 %v: %d KiB of memory, limit %d", what, lz, hwm, limit)
			}
		}
	}
}
