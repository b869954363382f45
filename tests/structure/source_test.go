// Package structure holds the source to the rules of its layout: who may
// import whom, and what may stand where.
package structure

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "floe"

// source is a Go file.
type source struct {
	*ast.File
	path    string // from the top of the repository
	imports []string
	fset    *token.FileSet
}

// at is where a node stands, for messages.
func (s *source) at(n ast.Node) string {
	return s.path + ":" + strconv.Itoa(s.fset.Position(n.Pos()).Line)
}

// folder is the file's, from the top of the repository.
func (s *source) folder() string { return filepath.Dir(s.path) }

func (s *source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

func (s *source) isGenerated() bool { return ast.IsGenerated(s.File) }

// sources parses all Go files in the folders at the top.
func sources(t *testing.T, folders ...string) []*source {
	t.Helper()
	const top = "../.."
	var out []*source
	fset := token.NewFileSet()
	for _, folder := range folders {
		err := filepath.WalkDir(filepath.Join(top, folder), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() && d.Name() == "testdata" {
				return filepath.SkipDir // programs that tests run
			}
			if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
				return err
			}
			file, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
			if err != nil {
				return err
			}
			s := &source{File: file, fset: fset}
			if s.path, err = filepath.Rel(top, path); err != nil {
				return err
			}
			for _, i := range file.Imports {
				name, err := strconv.Unquote(i.Path.Value)
				if err != nil {
					return err
				}
				s.imports = append(s.imports, name)
			}
			out = append(out, s)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(out) < 10 {
		t.Fatalf("%d files: the test looks in the wrong place", len(out))
	}
	return out
}

// everywhere are the folders with code.
var everywhere = []string{"cmds", "lib", "tests"}

// TestUnsafe: unsafe is imported where the name of the file says so.
func TestUnsafe(t *testing.T) {
	for _, s := range sources(t, everywhere...) {
		named := strings.HasSuffix(strings.TrimSuffix(s.path, "_test.go"), "_unsafe") || strings.HasSuffix(s.path, "_unsafe.go")
		if has := slices.Contains(s.imports, "unsafe"); has != named && !s.isGenerated() {
			t.Errorf("%s: unsafe is imported: %t; the name says %t", s.path, has, named)
		}
	}
}

// registers are the fields of unix.PtraceRegs and of record.RegsAmd64.
var registers = []string{
	"Rip", "Rax", "Rbx", "Rcx", "Rdx", "Rsi", "Rdi", "Rsp", "Rbp", "R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15",
	"Orig_rax", "OrigRax", "Eflags", "Fs_base", "Gs_base", "FsBase", "GsBase",
}

// TestArchitecture: registers and assembly are in files of their architecture.
func TestArchitecture(t *testing.T) {
	for _, s := range sources(t, "cmds", "lib") {
		if s.isTest() || s.isGenerated() || strings.HasSuffix(s.path, "_amd64.go") {
			continue
		}
		ast.Inspect(s.File, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok && slices.Contains(registers, id.Name) {
				t.Errorf("%s: register %s in a file for every architecture", s.at(n), id.Name)
			}
			return true
		})
	}
	for _, folder := range everywhere {
		err := filepath.WalkDir(filepath.Join("../..", folder), func(path string, _ fs.DirEntry, err error) error {
			if filepath.Ext(path) == ".s" && !strings.HasSuffix(path, "_amd64.s") {
				t.Errorf("%s: assembly of which architecture?", path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// silent are what nothing in lib may use: it returns errors, and lib/cli alone
// prints and exits.
var silent = map[string][]string{
	"fmt":     {"Print", "Printf", "Println"},
	"os":      {"Stdin", "Stdout", "Stderr", "Exit", "Args"},
	"syscall": {"Exit", "Stdin", "Stdout", "Stderr"},
	"unix":    {"Exit"},
}

func TestSilence(t *testing.T) {
	for _, s := range sources(t, "lib") {
		if s.isTest() || s.folder() == "lib/cli" {
			continue
		}
		if slices.Contains(s.imports, "log") || slices.Contains(s.imports, "log/slog") {
			t.Errorf("%s imports log", s.path)
		}
		ast.Inspect(s.File, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if pkg, ok := n.X.(*ast.Ident); ok && slices.Contains(silent[pkg.Name], n.Sel.Name) {
					t.Errorf("%s: %s.%s in a library", s.at(n), pkg.Name, n.Sel.Name)
				}
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.Ident); ok && (f.Name == "print" || f.Name == "println") {
					t.Errorf("%s: %s in a library", s.at(n), f.Name)
				}
			}
			return true
		})
	}
}
