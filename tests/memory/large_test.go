package memory

import (
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"floe/tests/harness"
)

// program is one of a pipeline.
type program struct {
	args []string
	*harness.Measured
}

// pipeline runs programs with pipes between them, the last one's output to a
// file, and measures each.
func pipeline(t *testing.T, image string, commands ...string) {
	t.Helper()
	out, err := os.Create(image)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	var list []program
	var in *os.File
	for i, c := range commands {
		p := program{args: strings.Fields(c)}
		var next *os.File
		to := io.Writer(out)
		var w *os.File
		if i < len(commands)-1 {
			if next, w, err = os.Pipe(); err != nil {
				t.Fatal(err)
			}
			to = w
		}
		from := io.Reader(nil)
		if in != nil {
			from = in
		}
		p.Measured = harness.StartMeasured(t, from, to, p.args[0], p.args[1:]...)
		for _, f := range []*os.File{in, w} {
			if f != nil {
				f.Close()
			}
		}
		list, in = append(list, p), next
	}
	for _, p := range list {
		measured(t, p)
	}
}

// measured waits for a program and looks at the memory that it had.
func measured(t *testing.T, p program) {
	t.Helper()
	if e := p.Wait(t); e.Code() != 0 {
		t.Errorf("%v: %s: %s", p.args, e, p.Stderr)
	}
	kib := p.Memory(t)
	t.Logf("%s: %d KiB", p.args[0], kib)
	if kib > harness.MemoryLimit {
		t.Errorf("%s: %d KiB of memory, limit %d", p.args[0], kib, harness.MemoryLimit)
	}
}

// TestMany checkpoints a process that has very much of one thing, and restores
// it, from a file and from a pipe.
func TestMany(t *testing.T) {
	for _, args := range [][]string{{"mappings", "60000"}, {"guards", "300000"}} {
		t.Run(args[0], func(t *testing.T) {
			r := harness.Launch(t, &harness.Victim{Name: "many", Args: append([]string{"./many"}, args...), Prepare: harness.CompiledC("many")}, nil)
			image := filepath.Join(r.Dir, "image")
			checkpoint := func() {
				tree := harness.Tree(r.PID)
				pipeline(t, image, "freeze --then kill "+strconv.Itoa(r.PID), "vmadump", "vdsoprobe", "fddump", "pagedump")
				harness.WaitGone(t, tree)
			}
			checkpoint()
			measured(t, program{[]string{"restore -d"}, harness.StartMeasured(t, nil, nil, "restore", "-d", image)})
			checkpoint()
			f, err := os.Open(image)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			in, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			go func() { _, _ = io.Copy(w, f); w.Close() }()
			p := program{[]string{"restore -d, from a pipe"}, harness.StartMeasured(t, in, nil, "restore", "-d")}
			in.Close()
			measured(t, p)
			measured(t, program{[]string{"imgcat --verify"}, harness.StartMeasured(t, nil, nil, "imgcat", "--verify", image)})
			if err := os.WriteFile(filepath.Join(r.Dir, "go"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			harness.WaitGone(t, []int{r.PID})
			got := reports(t, r)
			if len(got) != 2 || got[0][0] != got[1][0] || !strings.HasPrefix(got[0][0], "memory") {
				t.Errorf("before and after: %q", got)
			}
		})
	}
}
