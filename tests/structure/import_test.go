package structure

import (
	"slices"
	"strings"
	"testing"
)

// layers are the packages of lib, lowest first: a package imports only those of
// layers below its own.
var layers = [][]string{
	{"calm", "procfs", "record/recordpb"},
	{"buildid", "cli", "kabi", "stub", "taskiter", "tracer"},
	{"crc32c"},
	{"record"},
	{"attr", "mem", "waits"},
	{"clocks", "cpu", "image", "inject", "lease", "plan", "vdso"},
	{"freezer", "stage"},
	{"fds", "pages", "vmas"},
	{"verdict"},
	{"dump", "restorer"},
}

func layer(name string) int {
	return slices.IndexFunc(layers, func(l []string) bool { return slices.Contains(l, name) })
}

// TestLayers: imports point one way, from the programs down.
func TestLayers(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range sources(t, "lib") {
		own := strings.TrimPrefix(s.folder(), "lib/")
		at := layer(own)
		if at < 0 && !seen[own] {
			t.Errorf("%s is in no layer: give it one", s.folder())
		}
		seen[own] = true
		for _, i := range s.imports {
			name, ours := strings.CutPrefix(i, module+"/")
			if !ours || s.isTest() {
				continue
			}
			if lib, ok := strings.CutPrefix(name, "lib/"); !ok || layer(lib) >= at {
				t.Errorf("%s (layer %d) imports %s", s.path, at, name)
			}
		}
	}
	for _, name := range slices.Concat(layers...) {
		if !seen[name] {
			t.Errorf("lib/%s has a layer and no files", name)
		}
	}
}

// TestPrograms: a program imports libraries, and no program.
func TestPrograms(t *testing.T) {
	for _, s := range sources(t, "cmds") {
		for _, i := range s.imports {
			if name, ours := strings.CutPrefix(i, module+"/"); ours && !strings.HasPrefix(name, "lib/") {
				t.Errorf("%s imports %s", s.path, name)
			}
		}
	}
}

// never are imports that a package must do without.
var never = map[string][]string{
	"lib/plan":   {"os", "os/exec", "net", "syscall", "floe/lib/tracer", "floe/lib/inject"}, // a pure function
	"lib/inject": {"floe/lib/record", "floe/lib/image", "floe/lib/plan"},                    // knows nothing of images
	"lib/record": {"os", "os/exec", "golang.org/x/sys/unix"},                                // a format
}

func TestNever(t *testing.T) {
	for _, s := range sources(t, "lib") {
		for _, i := range s.imports {
			if slices.Contains(never[s.folder()], i) && !s.isTest() {
				t.Errorf("%s imports %s", s.path, i)
			}
		}
	}
}
