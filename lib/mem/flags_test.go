package mem

import (
	"os"
	"strings"
	"testing"
)

// TestFlags: the table is sound, and knows all that this machine's kernel shows.
func TestFlags(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range flags {
		switch {
		case len(f.Name) != 2 || seen[f.Name]:
			t.Errorf("%q is no flag, or there twice", f.Name)
		case f.Means == "":
			t.Errorf("%s has no meaning", f.Name)
		case (f.How == ByAdvice) != (f.Advice != 0):
			t.Errorf("%s: advice %d", f.Name, f.Advice)
		case f.Restores() != (f.How != OfDevices && f.How != Refused):
			t.Errorf("%s: restored: %v", f.Name, f.Restores())
		}
		seen[f.Name] = true
	}
	b, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, l := range strings.Split(string(b), "\n") {
		if list, ok := strings.CutPrefix(l, "VmFlags:"); ok {
			for _, name := range strings.Fields(list) {
				n++
				if Lookup(name) == nil {
					t.Errorf("this process has a flag %s", name)
				}
			}
		}
	}
	if n == 0 {
		t.Error("no flags in /proc/self/smaps")
	}
	if Lookup("zz") != nil || Lookup("zz").Restores() {
		t.Error("zz is a flag that is restored")
	}
}

// TestAdvices: all flags that madvise(2) sets, each once.
func TestAdvices(t *testing.T) {
	var list []string
	for f := range Advices {
		list = append(list, f.Name)
	}
	if got := strings.Join(list, " "); got != "dc dd hg mg nh rr sr wf" {
		t.Errorf("advices: %s", got)
	}
	for range Advices {
		break
	}
}
