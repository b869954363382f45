package harness

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"floe/tests/victims"
)

// Debian's own python3: others may be scripts that start the real one.
const python3 = "/usr/bin/python3"

// Victims are the programs of the end-to-end suite.
var Victims = []*Victim{
	{Name: "bash", Args: []string{"bash", "counter.sh"}, Prepare: source("counter.sh")},
	{Name: "python", Args: []string{python3, "hash.py"}, Prepare: source("hash.py")},
	{Name: "xz", Args: []string{"bash", "-c", "echo begin; xz -0 -T2 -c big >big.xz"}, Prepare: bigFile, Result: digestOf("big.xz")},
	{Name: "sort", Args: []string{"bash", "lines.sh"}, Prepare: fileTree},
	{Name: "perl", Args: []string{"perl", "sums.pl"}, Prepare: source("sums.pl")},
	{Name: "go", Args: []string{"./goloop"}, Prepare: compiledGo("goloop")},
	{Name: "awk", Args: []string{"bash", "fifo.sh"}, Prepare: source("fifo.sh")},
	{Name: "node", Args: []string{"node", "ticks.js"}, Prepare: source("ticks.js")},
	{Name: "sqlite3", Args: []string{"sqlite3", "-batch", "t.db", ".read big.sql"}, Prepare: source("big.sql")},
	{Name: "cc1", Args: []string{"bash", "-c", "echo begin; gcc -O2 -c big.c"}, Prepare: bigSource, Result: digestOf("big.o")},
	{Name: "processes", Args: []string{"./tree"}, Prepare: CompiledC("tree")},
	{Name: "threads", Args: []string{"./threads"}, Prepare: CompiledC("threads", "-pthread")},
}

// FindVictim finds one by its name.
func FindVictim(t testing.TB, name string) *Victim {
	t.Helper()
	for _, v := range Victims {
		if v.Name == name {
			return v
		}
	}
	t.Fatalf("no victim is called %s", name)
	return nil
}

// source puts one of the sources into the folder.
func source(name string) func(testing.TB, string) {
	return func(t testing.TB, dir string) { writeFile(t, filepath.Join(dir, name), Source(t, name)) }
}

// Source is the text of one of the victims.
func Source(t testing.TB, name string) []byte {
	t.Helper()
	b, err := victims.Files.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeFile(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// digestOf is the digest of a file that the victim has made.
func digestOf(name string) func(testing.TB, string) string {
	return func(t testing.TB, dir string) string {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%s %d %x\n", name, len(b), sha256.Sum256(b))
	}
}

// bigFile is 100 MB that compress somewhat, made once.
func bigFile(t testing.TB, dir string) {
	t.Helper()
	big := filepath.Join(Scratch, "big")
	bigOnce.Do(func() { makeBig(t, big) })
	if err := os.Link(big, filepath.Join(dir, "big")); err != nil {
		t.Fatal(err)
	}
}

var bigOnce sync.Once

func makeBig(t testing.TB, path string) {
	t.Helper()
	const size = 100_000_000
	r := rand.New(rand.NewPCG(1, 2))
	words := make([][]byte, 4096)
	for i := range words {
		words[i] = fmt.Appendf(nil, "%x ", r.Uint64()>>(r.Uint32N(8)*8))
	}
	var b bytes.Buffer
	b.Grow(size + 64)
	for b.Len() < size {
		b.Write(words[r.Uint32N(4096)])
	}
	writeFile(t, path, b.Bytes()[:size])
}

// fileTree is a tree of a thousand files, and the script that lists it.
func fileTree(t testing.TB, dir string) {
	t.Helper()
	source("lines.sh")(t, dir)
	for i := range 40 {
		sub := filepath.Join(dir, "tree", fmt.Sprintf("d%d", i*i))
		if err := os.MkdirAll(sub, 0o755); err != nil {
			t.Fatal(err)
		}
		for j := range 25 {
			writeFile(t, filepath.Join(sub, fmt.Sprintf("f%d", i*j)), make([]byte, i+j))
		}
	}
}

// bigSource is a C file that keeps the compiler busy for seconds.
func bigSource(t testing.TB, dir string) {
	t.Helper()
	var b bytes.Buffer
	for i := range 350 {
		fmt.Fprintf(&b, "int f%d(int *a, int n)\n{\n\tint s = %d;\n", i, i)
		fmt.Fprintf(&b, "\tfor (int i = 0; i < n; i++) {\n\t\tif (a[i] & %d)\n\t\t\ts += a[i] * %d;\n\t\telse\n\t\t\ts ^= a[(i * %d) %% n];\n\t}\n", i%31+1, i, i+3)
		if i > 0 {
			fmt.Fprintf(&b, "\treturn s > 0 ? s : f%d(a, s & 15);\n}\n\n", i-1)
		} else {
			b.WriteString("\treturn s;\n}\n\n")
		}
	}
	writeFile(t, filepath.Join(dir, "big.c"), b.Bytes())
}
