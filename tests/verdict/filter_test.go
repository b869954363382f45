package verdict

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"floe/lib/record"
	"floe/tests/harness"
)

// filters is how many damages TestFilter does.
const filters = 300

var stages = []string{"freeze", "vmadump", "vdsoprobe", "fddump", "pagedump"}

// spoiled runs the pipeline on a tree that is to be killed. What comes out of
// stage `at` goes through a filter up to its mark.
func spoiled(t *testing.T, pid, at int, image string, filter func([]byte) ([]byte, error)) (report string) {
	t.Helper()
	out, err := os.Create(image)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	var procs []*harness.Proc
	var in *os.File
	for i, name := range stages {
		args := []string{}
		if i == 0 {
			args = []string{"--then", "kill", fmt.Sprint(pid)}
		}
		var r, w *os.File
		if i == len(stages)-1 {
			w = out
		} else if r, w, err = os.Pipe(); err != nil {
			t.Fatal(err)
		}
		var stdin io.Reader
		if in != nil {
			stdin = in
		}
		procs = append(procs, harness.Start(t, stdin, w, name, args...))
		if in != nil {
			in.Close()
		}
		if in = r; r != nil {
			w.Close()
		}
		if i == at {
			if r, w, err = os.Pipe(); err != nil {
				t.Fatal(err)
			}
			go between(w, in, filter)
			in = r
		}
	}
	var b strings.Builder
	for i, p := range procs {
		e := p.Wait(t)
		fmt.Fprintf(&b, "%s: %s %s\n", stages[i], e, strings.TrimSpace(p.Stderr.String()))
	}
	return b.String()
}

// between is a program between two stages that changes what goes through it.
func between(to, from *os.File, filter func([]byte) ([]byte, error)) {
	defer to.Close()
	defer from.Close()
	var stream bytes.Buffer
	r, err := record.NewReader(io.TeeReader(from, &stream))
	for err == nil {
		var f *record.Frame
		if f, err = r.Next(); err == nil && f.Record.GetMark() != nil {
			break
		}
	}
	if err != nil {
		return // the stage before has failed
	}
	b, err := filter(stream.Bytes())
	if err != nil {
		return // no stream can be like this
	}
	if _, err := to.Write(b); err == nil {
		_, _ = io.Copy(to, from) // until the lease is over
	}
}

// TestFilter has a program between two stages damage a stream and make its
// checksums anew, at random, while the tree is to be killed. Either the tree runs
// on as it was, or it is dead and its image brings all of it back.
func TestFilter(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 0))
	v := harness.Launch(t, harness.Steady, nil)
	before := harness.Pictures(v.PID)
	image := filepath.Join(v.Dir, "image")
	counts := map[string]int{}
	for n := range filters {
		at := rnd.IntN(len(stages) - 1)
		what, broken := "", false
		report := spoiled(t, v.PID, at, image, func(b []byte) (_ []byte, err error) {
			if n%10 == 0 { // with wrong checksums
				b[rnd.IntN(len(b))] ^= 1 << rnd.IntN(8)
				what = "a bit"
				return b, nil
			}
			b, what, err = harness.Damaged(rnd, b)
			broken = err != nil
			return b, err
		})
		what = fmt.Sprintf("after %s, %s", stages[at], what)
		end := "runs on"
		if s, ok := harness.ReadStat(v.PID); !ok || s.State == "Z" {
			end = "killed and restored"
			harness.WaitGone(t, harness.Tree(v.PID))
			p := v.BeginRestore(t, image)
			if e := p.Wait(t); e.Code() != 0 {
				t.Fatalf("seed %d, round %d: %s: the tree was killed, and can't be restored: %s\n%s", seed, n, what, p.Stderr, report)
			}
		} else if broken {
			end = "runs on, no stream"
		}
		counts[end]++
		awaitRunning(t, v.PID)
		if d := harness.Difference(before, harness.Pictures(v.PID)); len(d) > 0 {
			t.Fatalf("seed %d, round %d: %s: %s, changed:\n%s\n%s", seed, n, what, end, strings.Join(d, "\n"), report)
		}
	}
	t.Logf("seed %d: %v", seed, counts)
	v.Stop(t)
}

// awaitRunning waits until nothing of a tree is stopped or traced.
func awaitRunning(t *testing.T, pid int) {
	t.Helper()
	var left []string
	for range 1000 {
		if left = harness.Trapped(pid); len(left) == 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("left behind:\n%s", strings.Join(left, "\n"))
}

// TestPassing has programs between the stages that change nothing.
func TestPassing(t *testing.T) {
	v := harness.Launch(t, harness.Steady, nil)
	tree := harness.Tree(v.PID)
	image := filepath.Join(v.Dir, "image")
	harness.Bash(t, fmt.Sprintf("freeze --then kill %d | cat | vmadump | tee %s.copy | vdsoprobe | dd bs=7 status=none | fddump | cat | pagedump > %s", v.PID, image, image))
	harness.WaitGone(t, tree)
	v.Restore(t, image, "")
	v.Stop(t)
}
