package large

import (
	"sort"
	"testing"

	"floe/tests/harness"
)

// cases are what every program must be able to do in little memory.
var cases = []struct {
	name      string
	args      []string
	processes int
}{
	{"1,500 processes", []string{"children", "1500", "0"}, 1500},
	{"60,000 mappings with all advice", []string{"mappings", "60000"}, 1},
	{"20,000 threads", []string{"threads", "20000"}, 1},
	{"300,000 guards", []string{"guards", "300000"}, 1},
	{"40,000 queued signals", []string{"queued", "40000"}, 1},
	// As many to a process as the hard limit of many systems lets it have.
	{"100,000 descriptors", []string{"children", "6", "17000"}, 6},
	{"200 full pipes", []string{"pipes", "200", "65536"}, 1},
}

// TestMemory saves and restores each case, looks at its image, and compares the
// peak of each program with the limit.
func TestMemory(t *testing.T) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			v := launch(t, c.args...)
			v.save(t)
			harness.Bash(t, v.measured(t, "imgcat", v.image()+" > "+v.dir+"/table"))
			v.restore(t)
			if n := len(harness.Tree(v.pid)); n != c.processes {
				t.Errorf("%d processes are back, of %d", n, c.processes)
			}
			all := v.peaks(t)
			if len(all) != len(stages)+2 {
				t.Fatalf("not all programs were measured: %v", all)
			}
			var programs []string
			for p := range all {
				programs = append(programs, p)
			}
			sort.Strings(programs)
			for _, p := range programs {
				t.Logf("%-10s %6d KiB", p, all[p])
				if all[p] > harness.MemoryLimit {
					t.Errorf("%s took %d KiB; the limit is %d", p, all[p], harness.MemoryLimit)
				}
			}
		})
	}
}
