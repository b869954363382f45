package harness

import (
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// MemoryLimit is what a program of floe may have resident, KiB.
const MemoryLimit = 64 << 10

// Measured is a command whose memory is measured.
type Measured struct {
	*Proc
	file string
}

var measureOnce sync.Once

// Measure is the program that measures: see measure.c.
func Measure(t testing.TB) string {
	t.Helper()
	measureOnce.Do(func() { CompiledC("measure")(t, Scratch) })
	return filepath.Join(Scratch, "measure")
}

// StartMeasured starts a command and measures its memory.
func StartMeasured(t testing.TB, stdin io.Reader, stdout io.Writer, name string, args ...string) *Measured {
	t.Helper()
	program := Measure(t)
	f, err := os.CreateTemp(Scratch, "memory-")
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	return &Measured{Start(t, stdin, stdout, program, append([]string{f.Name(), name}, args...)...), f.Name()}
}

// Memory is the most that it had resident, KiB; it has ended.
func (m *Measured) Memory(t testing.TB) int {
	t.Helper()
	b, err := os.ReadFile(m.file)
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(m.file)
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatalf("memory of %v: %v", m.Cmd.Args, err)
	}
	return n
}
