package faults

import (
	"bufio"
	"debug/elf"
	"debug/gosym"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"floe/tests/harness"
)

// text tells which function of a Go program an instruction belongs to. The
// programs have no symbols, but Go's own table of lines.
type text struct{ table *gosym.Table }

var texts sync.Map // program to *text

func textOf(t testing.TB, program string) *text {
	t.Helper()
	if x, ok := texts.Load(program); ok {
		return x.(*text)
	}
	f, err := elf.Open(filepath.Join(harness.Bin, program))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, code := f.Section(".gopclntab"), f.Section(".text")
	if lines == nil || code == nil {
		t.Fatalf("%s is no Go program", program)
	}
	b, err := lines.Data()
	if err != nil {
		t.Fatal(err)
	}
	table, err := gosym.NewTable(nil, gosym.NewLineTable(b, code.Addr))
	if err != nil {
		t.Fatal(err)
	}
	x := &text{table}
	texts.Store(program, x)
	return x
}

// runtime tells whether Go's runtime makes the call at ip for itself. What it
// does for package syscall counts as the program's.
func (x *text) runtime(ip uint64) bool {
	f := x.table.PCToFunc(ip - 1)
	return f != nil && strings.HasPrefix(f.Name, "runtime.")
}

// callNames are the system calls' names by number, from the C headers.
var callNames = sync.OnceValue(func() map[int32]string {
	names := map[int32]string{}
	for _, dir := range []string{"/usr/include/x86_64-linux-gnu/asm", "/usr/include/asm"} {
		f, err := os.Open(filepath.Join(dir, "unistd_64.h"))
		if err != nil {
			continue
		}
		defer f.Close()
		for s := bufio.NewScanner(f); s.Scan(); {
			var name string
			var nr int32
			if n, _ := fmt.Sscanf(s.Text(), "#define __NR_%s %d", &name, &nr); n == 2 {
				names[nr] = name
			}
		}
		break
	}
	return names
})
