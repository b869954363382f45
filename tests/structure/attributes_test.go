package structure

import (
	"go/ast"
	"reflect"
	"slices"
	"testing"

	"floe/lib/record"
)

// elsewhere are the attributes whose name means something else, too, or whose
// other half is that of all credentials.
var elsewhere = []string{"Cgroups", "Zombie"}

// TestAttributes: no package but an attribute's own names it.
func TestAttributes(t *testing.T) {
	var names []string
	for _, m := range []any{record.ProcessAttrs{}, record.ThreadAttrs{}} {
		for _, f := range reflect.VisibleFields(reflect.TypeOf(m)) {
			if f.IsExported() && !slices.Contains(elsewhere, f.Name) {
				names = append(names, f.Name)
			}
		}
	}
	if len(names) < 10 {
		t.Fatalf("%d attributes", len(names))
	}
	for _, s := range sources(t, "cmds", "lib") {
		if s.isTest() || s.isGenerated() || s.folder() == "lib/attr" {
			continue
		}
		ast.Inspect(s.File, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && slices.Contains(names, sel.Sel.Name) {
				t.Errorf("%s: %s is an attribute of lib/attr's", s.at(sel), sel.Sel.Name)
			}
			return true
		})
	}
}
