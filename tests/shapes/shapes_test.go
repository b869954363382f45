package shapes

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"floe/tests/harness"
)

var (
	count   = flag.Int("n", 0, "run this many seeds, and print what came of them")
	first   = flag.Uint64("seed", 0, "the first seed (with -n), or of the fresh ones")
	program = flag.String("program", "", "run the program in this `FILE`")
	workers = flag.Int("workers", runtime.NumCPU(), "so many at once")
	tries   = flag.Int("tries", 150, "how many programs to try to find the shortest that fails")
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(workerEnv); dir != "" {
		if err := Worker(os.Stdin, os.Stdout, dir, os.Getenv(workerBin)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	harness.Main(m)
}

// newPool compiles the victim and starts workers. What they write is in memory
// where the machine has a place for that.
func newPool(t *testing.T) *Pool {
	t.Helper()
	scratch, err := os.MkdirTemp("/dev/shm", "floe-shapes-")
	if err != nil {
		scratch = t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(scratch) })
	if err := os.Chmod(scratch, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(scratch, "ops.h"), []byte(opsHeader()), 0o644); err != nil {
		t.Fatal(err)
	}
	victim := filepath.Join(scratch, "victim")
	gcc := harness.Start(t, nil, nil, "gcc", "-O1", "-Wall", "-Werror", "-Wno-unused-parameter", "-static", "-nostdlib", "-ffreestanding",
		"-fno-stack-protector", "-fcf-protection=none", "-fno-pic", "-no-pie", "-I"+scratch, "-o", victim, "victim/victim.c")
	if e := gcc.Wait(t); e.Code() != 0 {
		t.Fatalf("gcc: %s\n%s", e, gcc.Stderr)
	}
	p, err := NewPool(*workers, scratch, harness.Bin, victim)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// fixed seeds are the same in every run.
const fixed, fresh = 150, 150

// TestShapes runs fixed seeds and fresh ones, or as many as -n says.
func TestShapes(t *testing.T) {
	if *program != "" {
		runProgram(t, *program)
		return
	}
	start := *first
	if start == 0 {
		start = uint64(time.Now().UnixNano()/1e6)<<10 | 1<<60
	}
	tally := newTally()
	p := newPool(t)
	if *count > 0 {
		p.seeds(start, *count, tally.add)
	} else {
		p.seeds(1, fixed, tally.add)
		p.seeds(start, fresh, tally.add)
	}
	t.Logf("fresh seeds from %d\n%s", start, tally)
	if *count > 0 {
		t.Logf("not generated:\n  %s", strings.Join(notGenerated, "\n  "))
	}
	for _, f := range tally.failures(5) {
		f.program = Shrink(f.program, f.result.Like(), *tries, func(q *Program) *Result { return p.Run(q, false) })
		if r := p.Run(f.program, false); !r.Good() {
			f.result = r
		} else {
			f.result.Detail += "\n(now and then: the last run was good)"
		}
		if plain := p.Run(f.program, true); !plain.Good() {
			f.result = plain
		}
		t.Errorf("%s\nThe shortest program that fails (go test ./tests/shapes -args -program FILE):\n%s", f.result, f.program)
	}
}

func runProgram(t *testing.T, file string) {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	prog, err := ParseProgram(f)
	if err != nil {
		t.Fatal(err)
	}
	p := newPool(t)
	for _, plain := range []bool{true, false} {
		r := p.Run(prog, plain)
		t.Logf("plain %t: %d tasks, %d of %d operations worked, %.0f ms: %s", plain, r.Tasks, r.Worked, r.Carried, r.Millis, r)
		if !r.Good() {
			t.Fail()
		}
	}
}

// TestText: a program's text is the program.
func TestText(t *testing.T) {
	for seed := range uint64(300) {
		p := Generate(seed)
		text := p.String()
		q, err := ParseProgram(strings.NewReader(text))
		if err != nil || q.String() != text {
			t.Fatalf("seed %d: %v\n%s\n%s", seed, err, text, q)
		}
		for i := range p.Steps {
			for k := range p.Steps[i].Args {
				if p.Steps[i].Args[k] != q.Steps[i].Args[k] {
					t.Fatalf("seed %d: %s has argument %d, not %d", seed, p.Steps[i], q.Steps[i].Args[k], p.Steps[i].Args[k])
				}
			}
		}
	}
}
