// Package attributes looks at what a restored task has set of itself, through
// every getter that there is, and at what it might have inherited from restore.
package attributes

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"floe/tests/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

var (
	//go:embed look.py
	look string
	//go:embed under.py
	under string
)

// victim is a running look.py.
type victim struct {
	*harness.Running
	thread bool
	asked  int
}

// launch starts one that sets something in its process, and in a thread ("-":
// it has none).
func launch(t *testing.T, process, thread string) *victim {
	t.Helper()
	v := &harness.Victim{Name: "look", Args: []string{"python3", "look.py", process, thread}, Prepare: func(t testing.TB, dir string) {
		for name, text := range map[string]string{"look.py": look, "under.py": under} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}}
	return &victim{Running: harness.Launch(t, v, nil), thread: thread != "-"}
}

// look is what its threads see of themselves now: a line for each getter.
func (v *victim) look(t *testing.T) map[string]string {
	t.Helper()
	v.asked++
	if err := os.WriteFile(filepath.Join(v.Dir, fmt.Sprintf("ask%d", v.asked)), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	who := []string{"process"}
	if v.thread {
		who = append(who, "thread")
	}
	out := map[string]string{}
	for _, w := range who {
		path := filepath.Join(v.Dir, fmt.Sprintf("look%d.%s", v.asked, w))
		for until := time.Now().Add(harness.Limit); ; time.Sleep(10 * time.Millisecond) {
			b, err := os.ReadFile(path)
			if err == nil {
				for line := range strings.Lines(string(b)) {
					name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
					out[w+": "+name] = value
				}
				break
			}
			if time.Now().After(until) {
				text, _ := os.ReadFile(v.Output())
				t.Fatalf("%s: it does not answer: %s", path, text)
			}
		}
	}
	if len(out) < 100 {
		t.Fatalf("%d lines: %v", len(out), out)
	}
	return out
}
