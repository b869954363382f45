// Package memory checkpoints processes whose memory is of an unusual sort, kills
// them, restores them, and has them tell what they see.
package memory

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"floe/tests/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// reports are what a victim says of its memory: before, and after there is a
// file "go".
func reports(t *testing.T, r *harness.Running) [][]string {
	t.Helper()
	var list [][]string
	for _, s := range strings.Split(r.Outcome(t), "end\n") {
		if s != "" {
			list = append(list, strings.Split(s, "\n"))
		}
	}
	return list
}

func launch(t *testing.T, prefix string, kinds ...string) *harness.Running {
	t.Helper()
	return harness.Launch(t, &harness.Victim{
		Name: "locked", Args: slices.Concat(strings.Fields(prefix), []string{"./locked"}, kinds),
		Prepare: harness.CompiledC("locked", "-pthread"),
	}, nil)
}

// locked checkpoints a victim with locked memory of these kinds, restores it,
// and compares what it sees.
func locked(t *testing.T, kinds ...string) {
	r := launch(t, "", kinds...)
	image := filepath.Join(r.Dir, "image")
	for range 2 {
		r.Checkpoint(t, image, "")
		r.Restore(t, image, "")
	}
	same(t, r)
}

// same has a restored victim look at its memory again.
func same(t *testing.T, r *harness.Running) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(r.Dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if e := r.End(t); e.Code() != 0 {
		t.Errorf("it has ended with %s", e)
	}
	got := reports(t, r)
	if len(got) != 2 || !strings.HasPrefix(got[0][0], "memory") || len(got[0]) < 20 {
		t.Fatalf("it said, %d times: %q", len(got), got)
	}
	if diff := harness.Difference(got[0], got[1]); len(diff) > 0 {
		t.Errorf("before and after:\n%s", strings.Join(diff, "\n"))
	}
	if has := strings.Join(got[0], "\n"); !strings.Contains(has, " lo ") {
		t.Errorf("nothing of it is locked:\n%s", has)
	}
}

// lockedKinds are what the victim has in memory.
var lockedKinds = []string{"plain", "protected", "guards", "files", "stacks", "advised"}

func TestLocked(t *testing.T) {
	for _, k := range lockedKinds {
		t.Run(k, func(t *testing.T) { locked(t, k) })
		t.Run(k+" on fault", func(t *testing.T) { locked(t, k+"-onfault") })
		t.Run(k+", then all", func(t *testing.T) { locked(t, k, "all") })
		t.Run(k+", then all on fault", func(t *testing.T) { locked(t, k, "all-onfault") })
	}
	t.Run("threads", func(t *testing.T) { locked(t, "threads", "all") })
	t.Run("threads on fault", func(t *testing.T) { locked(t, "threads", "all-onfault") })
	t.Run("all of it", func(t *testing.T) { locked(t, append(lockedKinds, "threads", "all")...) })
	// What is locked then is more than the limit, which comes back too.
	t.Run("a low limit", func(t *testing.T) { locked(t, "plain", "guards", "threads", "all", "limit") })
}

// noLock runs a command without CAP_IPC_LOCK.
const noLock = "setpriv --bounding-set=-ipc_lock --inh-caps=-ipc_lock -- "

// TestLockedWithoutCapability restores below a low limit that can be raised, and
// not below one that can't.
func TestLockedWithoutCapability(t *testing.T) {
	r := launch(t, noLock, "plain", "guards", "all")
	image := filepath.Join(r.Dir, "image")
	r.Checkpoint(t, image, "")
	var said bytes.Buffer
	p := harness.Start(t, nil, &said, "bash", "-c", fmt.Sprintf("prlimit --memlock=4096:8192 %srestore --check %s", noLock, image))
	if e := p.Wait(t); e.Code() != 1 || !strings.Contains(said.String(), "bytes locked; restore's own limit is 8192 (ulimit -Hl) without CAP_IPC_LOCK") {
		t.Errorf("restore with a limit of 8 KiB: %s: %s%s", e, &said, p.Stderr)
	}
	r.Restore(t, image, "prlimit --memlock=4096: "+noLock)
	same(t, r)
}
