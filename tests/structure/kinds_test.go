package structure

import (
	"go/ast"
	"os"
	"regexp"
	"strings"
	"testing"
)

// kindNames are the names by which Go code gets at the kinds of open files: the
// getters of the oneof in record.proto, and its types.
func kindNames(t *testing.T) map[string]bool {
	t.Helper()
	b, err := os.ReadFile("../../lib/record/record.proto")
	if err != nil {
		t.Fatal(err)
	}
	message := regexp.MustCompile(`(?s)message OpenFile \{.*?oneof object \{(.*?)\}`).FindSubmatch(b)
	if message == nil {
		t.Fatal("record.proto has no kinds of open files")
	}
	names := map[string]bool{}
	for _, f := range regexp.MustCompile(`(\w+) (\w+) = \d+;`).FindAllStringSubmatch(string(message[1]), -1) {
		names["Get"+strings.ToUpper(f[2][:1])+f[2][1:]] = true
		names["OpenFile_"+f[1]], names["OpenFile_"+f[1]+"_"] = true, true
		names["OpenFile_"+strings.ToUpper(f[2][:1])+f[2][1:]] = true
	}
	delete(names, "GetPath") // a File has one too
	if len(names) < 10 {
		t.Fatalf("the kinds in record.proto are %v", names)
	}
	return names
}

// TestKinds: no package but lib/fds names a kind of descriptor.
func TestKinds(t *testing.T) {
	kinds := kindNames(t)
	for _, s := range sources(t, "cmds", "lib") {
		if s.isTest() || s.isGenerated() || s.folder() == "lib/fds" {
			continue
		}
		ast.Inspect(s.File, func(n ast.Node) bool {
			if id, ok := n.(*ast.SelectorExpr); ok && kinds[id.Sel.Name] {
				t.Errorf("%s: %s is for lib/fds to know", s.at(n), id.Sel.Name)
			}
			return true
		})
	}
}
