package lease

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"floe/tests/harness"
)

// TestHarmRestore kills restore at random moments: the tree is there whole,
// and ends right, or nothing of it is there.
func TestHarmRestore(t *testing.T) {
	v := harness.Launch(t, harness.Steady, nil)
	time.Sleep(50 * time.Millisecond)
	tree, before := harness.Tree(v.PID), harness.Pictures(v.PID)
	image := filepath.Join(harness.Scratch, "image")
	v.Checkpoint(t, image, "")
	saved, err := os.Stat(v.Output())
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	v.Restore(t, image, "")
	took := time.Since(begun)
	v.Stop(t)
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 0))
	whole, remains := 0, 0
	for i := range rounds {
		reset(t, v.Output(), saved)
		signal := []unix.Signal{unix.SIGKILL, unix.SIGKILL, unix.SIGTERM}[i%3]
		moment := time.Duration(rnd.Int64N(int64(took * 5 / 4)))
		if !t.Run(fmt.Sprintf("%d %s after %s", i, signal, moment), func(t *testing.T) {
			p := v.BeginRestore(t, image)
			time.Sleep(moment)
			_ = p.Cmd.Process.Signal(signal)
			e := p.Wait(t)
			t.Logf("%s %s", e, strings.TrimSpace(p.Stderr.String()))
			if settle(t, v, tree, before) {
				whole++
				if cleaned(t, v, before) {
					remains++
				}
				v.Stop(t)
			} else if e.Code() == 0 {
				t.Error("restore says that it is done, and nothing is there")
			}
			if s := harness.Strangers(); len(s) > 0 {
				t.Errorf("processes left behind:\n%s", strings.Join(s, "\n"))
			}
			if f := harness.TemporaryFiles(t); len(f) > 0 {
				t.Errorf("files left behind: %v", f)
			}
		}) {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("%d of %d were restored; %d killed restores left something mapped", whole, rounds, remains)
	if whole == 0 || whole == rounds {
		t.Errorf("the moments are badly chosen: %d of %d were restored", whole, rounds)
	}
}

// arena matches restore's own mappings. A restore that is killed after it has let
// the tree go, and before it has taken them out of every process, leaves them in
// some: 300 KiB that nobody uses. See cleaned.
var arena = regexp.MustCompile(`\b001[0-9a-f]{5}-001[0-9a-f]{5}\b`)

// cleaned tells whether a killed restore has left its mappings in a tree, and
// makes sure that the next checkpoint leaves them out.
func cleaned(t *testing.T, v *harness.Running, before []string) bool {
	t.Helper()
	if len(harness.Difference(before, harness.Pictures(v.PID))) == 0 {
		return false
	}
	image := filepath.Join(v.Dir, "next")
	v.Checkpoint(t, image, "")
	v.Restore(t, image, "")
	if d := harness.Difference(before, harness.Pictures(v.PID)); len(d) > 0 {
		t.Errorf("after another checkpoint it has\n%s", strings.Join(d, "\n"))
	}
	return true
}

// settle waits until the tree is either as it was before the checkpoint, and
// runs, or gone: what was killed needs a moment to go.
func settle(t *testing.T, v *harness.Running, tree []int, before []string) (whole bool) {
	t.Helper()
	var alive, trapped, changed []string
	seen := 0 // how often in a row it was whole
	for range 400 {
		alive, trapped = nil, harness.Trapped(v.PID)
		for _, pid := range tree {
			if s, ok := harness.ReadStat(pid); ok {
				alive = append(alive, fmt.Sprintf("%d %+v", pid, s))
			}
		}
		if len(alive) == 0 {
			return false
		}
		changed = slices.DeleteFunc(harness.Difference(before, harness.Pictures(v.PID)), arena.MatchString)
		// A task that dies with restore is untraced before it is dead.
		if seen++; len(alive) != len(tree) || len(trapped) > 0 || len(changed) > 0 {
			seen = 0
		} else if seen == 10 {
			return true
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Errorf("of the tree %v there is left:\n%s\nstopped:\n%s\nchanged:\n%s", tree, strings.Join(alive, "\n"), strings.Join(trapped, "\n"), strings.Join(changed, "\n"))
	return false
}

// reset makes a file as it was at the checkpoint: restore looks.
func reset(t *testing.T, path string, saved os.FileInfo) {
	t.Helper()
	if err := os.Truncate(path, saved.Size()); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, time.Now(), saved.ModTime()); err != nil {
		t.Fatal(err)
	}
}
