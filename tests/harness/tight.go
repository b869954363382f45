package harness

import (
	"os"
	"strings"
	"testing"
	"time"
)

// Tight is a process that stands near a limit of its own; see
// tests/victims/c/tight.c for its arguments.
func Tight(args ...string) *Victim {
	return &Victim{Name: "tight", Args: append([]string{"./tight"}, args...), Prepare: CompiledC("tight", "-pthread")}
}

// Goes makes sure that a Tight has as much room as it had.
func (r *Running) Goes(t testing.TB) {
	t.Helper()
	st, err := os.Stat(r.Output())
	if err != nil {
		t.Fatal(err)
	}
	until := time.Now().Add(Limit)
	for {
		b, err := os.ReadFile(r.Output())
		if err != nil {
			t.Fatal(err)
		}
		if all := strings.TrimPrefix(string(b), "begin\n"); strings.Trim(all, "ok\n") != "" {
			t.Fatalf("%v says:\n%s", r.Args, all)
		}
		if strings.Count(string(b[st.Size():]), "ok\n") > 2 {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("%v says nothing any more", r.Args)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
