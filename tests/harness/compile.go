package harness

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// built are the compiled victims: name to a function that builds it once.
var built sync.Map

// compile runs a compiler once in a test process, and copies what it made into
// the folder.
func compile(t testing.TB, name, dir string, command func(out string) *exec.Cmd) {
	t.Helper()
	f, _ := built.LoadOrStore(name, sync.OnceValues(func() (string, error) {
		out := filepath.Join(Scratch, "built-"+name)
		p := command(out)
		ended, err := spawn(p)
		if err == nil {
			if e := <-ended; e.Code() != 0 {
				return "", &exec.Error{Name: name, Err: os.ErrInvalid}
			}
		}
		return out, err
	}))
	out, err := f.(func() (string, error))()
	if err != nil {
		t.Fatalf("compile %s: %v", name, err)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if err := writeProgram(filepath.Join(dir, name), b); err != nil {
		t.Fatal(err)
	}
}

// writeProgram writes a program that is about to be run. Nobody may fork
// meanwhile: the child would have the file open for writing until it executes
// something else, and such a file can't be run (ETXTBSY).
func writeProgram(path string, b []byte) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.WriteFile(path, b, 0o755)
}

// CompiledC builds one of the victims in C into the folder.
func CompiledC(name string, flags ...string) func(testing.TB, string) {
	return func(t testing.TB, dir string) {
		t.Helper()
		src := filepath.Join(Scratch, name+".c")
		writeFile(t, src, Source(t, "c/"+name+".c"))
		compile(t, name, dir, func(out string) *exec.Cmd {
			cmd := exec.Command("gcc", append([]string{"-O2", "-Wall", "-o", out, src}, flags...)...)
			cmd.Stderr = os.Stderr
			return cmd
		})
	}
}

func compiledGo(name string) func(testing.TB, string) {
	return func(t testing.TB, dir string) {
		t.Helper()
		compile(t, name, dir, func(out string) *exec.Cmd {
			cmd := exec.Command("go", "build", "-o", out, "floe/tests/victims/"+name)
			cmd.Stderr = os.Stderr
			return cmd
		})
	}
}
