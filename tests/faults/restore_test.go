package faults

import (
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"floe/tests/harness"
)

func digest(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }

// patience is how long a program may take, whatever is done to it.
const patience = 20 * time.Second

// checkpointed is a victim that is dead, and its image.
func checkpointed(t *testing.T) (*victim, string) {
	t.Helper()
	v := launchVictim(t)
	image := filepath.Join(harness.Scratch, fmt.Sprintf("image-%d", v.pid))
	harness.Bash(t, fmt.Sprintf("freeze --then kill %d | %s >%s", v.pid, harness.Stages, image))
	harness.WaitGone(t, v.pids)
	return v, image
}

// outcome is what became of a run.
type outcome int

const (
	nothing outcome = iota
	everythingThere
	notReached
)

// TestRestore: whatever call fails, and wherever restore is killed, nothing is
// left, or the whole tree runs.
func TestRestore(t *testing.T) {
	v, image := checkpointed(t)
	var list []point
	if !t.Run("no fault", func(t *testing.T) {
		for range 2 {
			var err error
			if list, _, err = v.restore(t, image, nil); err != nil {
				t.Fatal(err)
			}
		}
	}) {
		return
	}
	sweep(t, "restore", list, func(t *testing.T, f *fault) outcome {
		_, o, err := v.restore(t, image, f)
		if err != nil {
			t.Error(err)
		}
		return o
	})
}

// inFifo is how much is in the tree's fifo; it is empty then. It is opened for that
// only: what others have open is refused.
func (v *victim) inFifo() int {
	fd, err := unix.Open(filepath.Join(v.dir, "fifo"), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	n, _ := unix.Read(fd, make([]byte, 4096))
	return max(n, 0)
}

// restore restores the victim with a fault, and looks at what is there.
func (v *victim) restore(t *testing.T, image string, f *fault) (list []point, o outcome, err error) {
	t.Helper()
	lowPids(t)
	s := supervise(t, f, v.ids, v.stdin, v.stdout, "restore", "-d", "--inherit", "seccomp", image)
	end, where := s.WaitFor(patience)
	list, hit := s.points(t)
	defer func() {
		v.kill(t)
		v.inFifo()
		if !s.gone() && err == nil {
			err = fmt.Errorf("restore: %s: processes that are not the tree's are left", end)
		}
		if err != nil {
			err = fmt.Errorf("restore: %s: %s\n%w", end, strings.TrimSpace(s.Stderr.String()), err)
		}
	}()
	if where != "" {
		return list, nothing, fmt.Errorf("it has not ended in %s:\n%s", patience, where)
	}
	if f != nil && !hit {
		o = notReached
	}
	isKill := f != nil && (f.errno == killed || end.Code() == 2) // the runtime gave up
	if end.Code() != 0 && (!isKill || s.gone()) {
		return list, o, v.nothingLeft(s)
	}
	var known *regexp.Regexp
	if isKill || strings.Contains(s.Stderr.String(), "the tree runs, but") {
		known = remains
	}
	if err := v.wholeBut(known); err != nil {
		return list, o, fmt.Errorf("the tree is not whole: %w", err)
	}
	if o == nothing {
		o = everythingThere
	}
	return list, o, nil
}

// nothingLeft says what is left.
func (v *victim) nothingLeft(s *supervised) error {
	var said []string
	if !s.gone() {
		said = append(said, "processes are left")
		if _, err := v.ask(); err == nil {
			said = append(said, "the tree answers")
		}
	}
	for until := time.Now().Add(soon); len(v.left()) > 0 && time.Now().Before(until); {
		time.Sleep(time.Millisecond) // what was killed has a moment to go
	}
	if left := v.left(); len(left) > 0 {
		said = append(said, fmt.Sprintf("of the tree %v are there: %s", left, strings.Join(harness.Trapped(v.pid), "; ")))
	}
	if n := v.inFifo(); n > 0 {
		said = append(said, fmt.Sprintf("%d bytes are in the fifo", n))
	}
	if err := v.unchanged(); err != nil {
		said = append(said, err.Error())
	}
	if len(said) > 0 {
		return fmt.Errorf("%s", strings.Join(said, "; "))
	}
	return nil
}
