package calm

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
)

// probe builds testdata/probe.
func probe(t *testing.T, flags string) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "probe")
	cmd := exec.Command("go", "build", "-ldflags", flags, "-o", bin, "./testdata/probe")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return bin
}

type report struct {
	Args, Env, Passed []string
	Procs, Wide, Page int
}

func run(t *testing.T, bin string, args, env []string) report {
	t.Helper()
	cmd := exec.Command(bin, args...)
	cmd.Env = env
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%d arguments, %d variables: %v", len(args), len(env), err)
	}
	var r report
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(r.Args, args) || r.Page != os.Getpagesize() {
		t.Errorf("arguments %q, want %q; pages of %d bytes", r.Args, args, r.Page)
	}
	return r
}

// all has the processors that a program may use, by the runtime's own reckoning.
func all() int {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	runtime.SetDefaultGOMAXPROCS()
	return runtime.GOMAXPROCS(0)
}

func TestEntry(t *testing.T) {
	bin := probe(t, "-E floe_start")
	var many []string
	for i := range 3000 {
		many = append(many, fmt.Sprintf("V%d=%d", i, i))
	}
	for _, env := range [][]string{{}, {"A="}, {"=", "x", "GOMAX=3", "HOME=/", "G"}, many} {
		for _, args := range [][]string{{}, {"GOMAXPROCS=7"}, {"a", "", "b c"}, many} {
			r := run(t, bin, args, env)
			if want := append(slices.Clone(env), variable); !slices.Equal(r.Env, want) {
				t.Errorf("%d variables: %q, want %q", len(env), r.Env, want)
			}
			if r.Passed == nil || !slices.Equal(r.Passed, env) {
				t.Errorf("%d variables: passed on %q", len(env), r.Passed)
			}
			if r.Procs != 1 || r.Wide != all() {
				t.Errorf("%d processors, then %d, want 1 and %d", r.Procs, r.Wide, all())
			}
		}
	}
}

// Who sets GOMAXPROCS has the runtime as it is.
func TestUsersChoice(t *testing.T) {
	bin := probe(t, "-E floe_start")
	for _, env := range [][]string{{"GOMAXPROCS=3"}, {"A=1", "GOMAXPROCS=3", "B=2"}} {
		r := run(t, bin, nil, env)
		if !slices.Equal(r.Env, env) || !slices.Equal(r.Passed, env) || r.Procs != 3 || r.Wide != 3 {
			t.Errorf("%q: %q, %q, %d processors, then %d", env, r.Env, r.Passed, r.Procs, r.Wide)
		}
	}
}

// A program that was linked with Go's own entry point works too.
func TestPlainEntry(t *testing.T) {
	env := []string{"A=1"}
	r := run(t, probe(t, ""), []string{"x"}, env)
	if !slices.Equal(r.Env, env) || !slices.Equal(r.Passed, env) || r.Procs != all() || r.Wide != all() {
		t.Errorf("%q, %q, %d processors, then %d", r.Env, r.Passed, r.Procs, r.Wide)
	}
}
