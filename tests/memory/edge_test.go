package memory

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"floe/lib/record"
	"floe/tests/harness"
)

func crowd(t *testing.T, kind string, n int) *harness.Running {
	t.Helper()
	return harness.Launch(t, &harness.Victim{Name: "crowd", Args: []string{"./crowd", kind, strconv.Itoa(n)}, Prepare: harness.CompiledC("crowd")}, nil)
}

// TestAsManyAsMay has processes with nearly as many mappings as they may. One
// that leaves room for what restore needs comes back; one that doesn't is not
// killed first.
func TestAsManyAsMay(t *testing.T) {
	b, err := os.ReadFile("/proc/sys/vm/max_map_count")
	if err != nil {
		t.Fatal(err)
	}
	limit, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	if limit > 1<<17 {
		t.Fatalf("the limit of mappings is %d here: too many to make them all", limit)
	}
	count := func(r *harness.Running) int {
		maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", r.PID))
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Count(maps, []byte("\n")) - bytes.Count(maps, []byte("[vsyscall]"))
	}
	const few, own = 10, 3
	besides := count(crowd(t, "mappings", few)) - few

	r := crowd(t, "mappings", limit-own-besides)
	if n := count(r); n != limit-own {
		t.Fatalf("it has %d mappings, not %d", n, limit-own)
	}
	image := filepath.Join(r.Dir, "image")
	r.Checkpoint(t, image, "")
	r.Restore(t, image, "")
	if n := count(r); n != limit-own {
		t.Errorf("it has %d mappings, and had %d", n, limit-own)
	}

	r = crowd(t, "mappings", limit-own-besides+1)
	p := harness.Start(t, nil, nil, "bash", "-c", fmt.Sprintf("freeze --then kill %d | %s >%s", r.PID, harness.Stages, filepath.Join(r.Dir, "image")))
	if e := p.Wait(t); e.Code() == 0 || !strings.Contains(p.Stderr.String(), fmt.Sprintf("it has %d mappings, and 3 more are needed to restore it: the limit is %d", limit-own+1, limit)) {
		t.Errorf("%d mappings: %s: %s", limit-own+1, e, p.Stderr)
	}
	if s, ok := harness.ReadStat(r.PID); !ok || s.State == "Z" {
		t.Error("it is dead")
	}
}

// TestHostileMemory changes a large image so that all that can be asked of a
// mapping is asked of each, and restores that: it may fail, and takes no memory.
func TestHostileMemory(t *testing.T) {
	r := crowd(t, "mappings", 60000)
	image := filepath.Join(r.Dir, "image")
	r.Checkpoint(t, image, "")
	flags := strings.Fields("dc dd hg mg nh rr sr wf lo lf ac nr gd")
	harness.Rewrite(t, image, func(rec *record.Record) bool {
		if v := rec.GetVma(); v != nil && v.Kind == record.Vma_ANON_PRIVATE {
			v.Flags, v.Prot = flags, 1
			v.Name = fmt.Sprintf("[anon:%060x]", v.Start)
		}
		return true
	})
	st, err := os.Stat(image)
	if err != nil {
		t.Fatal(err)
	}
	most := harness.MemoryLimit + int(10*st.Size()>>10)
	p := harness.StartMeasured(t, nil, nil, "restore", "-d", image)
	e := p.Wait(t)
	kib := p.Memory(t)
	t.Logf("%d KiB, the image has %d: %s: %s", kib, st.Size()>>10, e, p.Stderr)
	if kib > most {
		t.Errorf("restore takes %d KiB, limit %d", kib, most)
	}
}
