package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Steady works until it is told to stop, and its maps and descriptors stay as
// they are meanwhile; see tests/victims/c/steady.c.
var Steady = &Victim{Name: "steady", Args: []string{"./steady"}, Prepare: CompiledC("steady", "-pthread")}

// steadyChunk is how many steps of a thread count as one, as in steady.c.
const steadyChunk, steadyThreads = 2000, 9

// Stop tells a Steady to stop, waits for its end, and does its sums again.
func (r *Running) Stop(t testing.TB) {
	t.Helper()
	stop := filepath.Join(r.Dir, "stop")
	writeFile(t, stop, nil)
	if e := r.End(t); e.Code() != 0 {
		t.Fatalf("%s: %s", r.Name, e)
	}
	if err := os.Remove(stop); err != nil {
		t.Fatal(err)
	}
	out := r.Outcome(t)
	lines := strings.Split(strings.TrimSpace(strings.TrimPrefix(out, "begin\n")), "\n")
	if len(lines) != steadyThreads {
		t.Fatalf("%s said:\n%s", r.Name, out)
	}
	for _, l := range lines {
		var id, n, got uint64
		if _, err := fmt.Sscanf(l, "%d %d %x", &id, &n, &got); err != nil {
			t.Fatalf("%s said %q: %v", r.Name, l, err)
		}
		h := id
		for range n * steadyChunk {
			h = h*6364136223846793005 + 1442695040888963407 + h>>33
		}
		if got != h || n == 0 {
			t.Errorf("%s: thread %d says %x after %d rounds, it should be %x", r.Name, id, got, n, h)
		}
	}
}

var inode = regexp.MustCompile(`(pipe|socket):\[\d+\]`)

// Pictures is what every process of a tree has mapped and open. The numbers of
// pipes are left out: another pipe stands for them after a restore.
func Pictures(root int) []string {
	var out []string
	for _, pid := range Tree(root) {
		for _, l := range Picture(pid) {
			out = append(out, fmt.Sprintf("%d: %s", pid, inode.ReplaceAllString(l, "$1")))
		}
	}
	return out
}

// Strangers are the living descendants of this test that belong to no victim
// among the roots. What has been killed has a moment to go.
func Strangers(roots ...int) []string {
	var left []string
	for range 200 {
		if left = strangers(roots); len(left) == 0 {
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	return left
}

func strangers(roots []int) []string {
	known := map[int]bool{os.Getpid(): true}
	for _, r := range roots {
		for _, pid := range Tree(r) {
			known[pid] = true
		}
	}
	var out []string
	for _, pid := range Tree(os.Getpid()) {
		if s, ok := ReadStat(pid); ok && !known[pid] && s.State != "Z" {
			out = append(out, fmt.Sprintf("process %d (%s), state %s, parent %d, tracer %d", pid, s.Comm, s.State, s.Parent, s.Tracer))
		}
	}
	return out
}
