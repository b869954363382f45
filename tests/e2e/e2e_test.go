// Package e2e checkpoints real programs with the real pipeline, kills them,
// restores them, and compares what comes out with an uninterrupted run.
package e2e

import (
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"floe/tests/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// way is how a victim is treated.
type way struct {
	name   string
	rounds int
	user   *syscall.Credential
	pipe   bool
	prefix string
}

var ways = []way{
	{name: "once", rounds: 1},
	{name: "chain of five", rounds: 5},
	{name: "pipe", rounds: 1, pipe: true},
	{name: "user", rounds: 1, user: harness.User, prefix: harness.NoResource},
}

func TestVictims(t *testing.T) {
	for _, v := range harness.Victims {
		for _, w := range ways {
			t.Run(v.Name+"/"+w.name, func(t *testing.T) {
				t.Parallel()
				interrupt(t, v, w)
			})
		}
	}
}

// interrupt spreads the checkpoints over the time that the victim would take.
func interrupt(t *testing.T, v *harness.Victim, w way) {
	_, took := harness.Reference(t, v)
	r := harness.Launch(t, v, w.user)
	image := filepath.Join(r.Dir, "image")
	for range w.rounds {
		// Early enough for a machine that has become faster meanwhile.
		time.Sleep(took / time.Duration(4*w.rounds+4))
		if w.pipe {
			r.ThroughPipe(t)
			continue
		}
		r.Checkpoint(t, image, w.prefix)
		r.Restore(t, image, w.prefix)
	}
	r.Check(t)
}
