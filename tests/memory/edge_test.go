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

func many(t *testing.T, kind string, n int) *harness.Running {
	t.Helper()
	return harness.Launch(t, &harness.Victim{Name: "many", Args: []string{"./many", kind, strconv.Itoa(n)}, Prepare: harness.CompiledC("many")}, nil)
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
	besides := count(many(t, "mappings", few)) - few

	r := many(t, "mappings", limit-own-besides)
	if n := count(r); n != limit-own {
		t.Fatalf("it has %d mappings, not %d", n, limit-own)
	}
	image := filepath.Join(r.Dir, "image")
	r.Checkpoint(t, image, "")
	r.Restore(t, image, "")
	if n := count(r); n != limit-own {
		t.Errorf("it has %d mappings, and had %d", n, limit-own)
	}

	r = many(t, "mappings", limit-own-besides+1)
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
	r := many(t, "mappings", 60000)
	image := filepath.Join(r.Dir, "image")
	r.Checkpoint(t, image, "")
	flags := strings.Fields("dc dd hg mg nh rr sr wf lo lf ac nr gd")
	harness.Rewrite(t, image, func(rec *record.Record) bool {
		if v := rec.GetVma(); v != nil && v.Kind == record.Vma_ANON_PRIVATE {
			v.Flags = flags
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

// TestHostileSize changes a small image so that it wants more memory than any
// machine has, for what takes no room in the image: restore refuses it, and does
// not try.
func TestHostileSize(t *testing.T) {
	r := many(t, "guards", 10)
	image := filepath.Join(r.Dir, "image")
	r.Checkpoint(t, image, "")
	good, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	const start, size = 1 << 40, 1 << 46
	const none = record.Pages_Encoding(-1)
	for _, c := range []struct {
		name, flags, want string
		encoding          record.Pages_Encoding
		code              int
	}{
		{"locked", "rd wr mr mw me lo ac nr", "MiB of memory have to be locked (mlock); this machine has ", none, 1},
		{"guard regions", "rd wr mr mw me nr", "this machine has no more", record.Pages_GUARD, 1},
		{"zeros", "rd wr mr mw me nr", "past the end of the file mapped there", record.Pages_ZERO, 3},
	} {
		changed := 0
		b := harness.Rewritten(t, good, func(rec *record.Record) bool {
			if v := rec.GetVma(); v != nil && changed == 0 {
				v.Start, v.Prot, v.Flags = start, 3, strings.Fields(c.flags)
				changed++
			}
			if p := rec.GetPages(); p != nil && p.Encoding == c.encoding {
				p.Runs = []*record.Pages_Run{{Vaddr: start, Pages: size >> 12}}
				changed++
			}
			return true
		})
		if changed != 2 && c.encoding != none {
			t.Fatalf("%s: %d records were changed", c.name, changed)
		}
		if err := os.WriteFile(image, b, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, how := range []string{"-d", "--check"} {
			var out bytes.Buffer
			p := harness.StartMeasured(t, nil, &out, "restore", how, image)
			e := p.Wait(t)
			if said := out.String() + p.Stderr.String(); e.Code() != c.code || !strings.Contains(said, c.want) {
				t.Errorf("%s: restore %s: %s: %s", c.name, how, e, said)
			}
			if kib := p.Memory(t); kib > harness.MemoryLimit {
				t.Errorf("%s: restore takes %d KiB", c.name, kib)
			}
		}
	}
}
