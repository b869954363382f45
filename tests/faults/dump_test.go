package faults

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"floe/tests/harness"
)

// pipeline are the programs that make an image, in order.
var pipeline = []string{"freeze", "vmadump", "vdsoprobe", "fddump", "pagedump"}

// TestDump: whatever call of freeze or of a stage fails, and wherever one is
// killed, the tree runs on unharmed, or its image is whole and it has been
// killed for it.
func TestDump(t *testing.T) {
	for _, program := range pipeline {
		t.Run(program+" then kill", func(t *testing.T) { dumps(t, program, "kill") })
	}
	t.Run("freeze then thaw", func(t *testing.T) { dumps(t, "freeze", "thaw") })
}

func dumps(t *testing.T, program, then string) {
	v := launchVictim(t)
	list, _, err := v.dump(t, program, then, nil)
	if err != nil {
		t.Fatal(err)
	}
	whole := t // a new victim lives longer than the test that needs it
	sweep(t, program, list, func(t *testing.T, f *fault) outcome {
		_, o, err := v.dump(t, program, then, f)
		if err != nil {
			t.Error(err)
			v.kill(whole)
			v = launchVictim(whole)
		}
		return o
	})
}

// run is one run of the pipeline.
type run struct {
	v      *victim
	image  string
	procs  []*harness.Proc
	ends   []harness.End
	faulty *supervised
	hung   []string
}

// dump makes an image of the victim with a fault in one program, and looks at
// what became of both.
func (v *victim) dump(t *testing.T, program, then string, f *fault) (list []point, o outcome, err error) {
	t.Helper()
	lowPids(t)
	r := v.start(t, program, then, f)
	r.wait()
	list, hit := r.faulty.points(t)
	defer func() {
		os.Remove(r.image)
		if err != nil {
			err = fmt.Errorf("%s%w", r, err)
		}
	}()
	switch {
	case len(r.hung) > 0:
		return list, nothing, fmt.Errorf("these have not ended in %s:\n%s", patience, strings.Join(r.hung, "\n"))
	case !r.faulty.gone():
		return list, nothing, fmt.Errorf("processes are left")
	}
	o, err = r.judge(t, then, f)
	if f != nil && !hit {
		o = notReached
	}
	return list, o, err
}

// start starts the pipeline.
func (v *victim) start(t *testing.T, program, then string, f *fault) *run {
	t.Helper()
	r := &run{v: v, image: filepath.Join(harness.Scratch, fmt.Sprintf("dump-%d", v.pid))}
	out, err := os.OpenFile(r.image, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	var in *os.File
	for i, p := range pipeline {
		next, w, args := (*os.File)(nil), out, []string(nil)
		if i < len(pipeline)-1 {
			if next, w, err = os.Pipe(); err != nil {
				t.Fatal(err)
			}
		}
		if i == 0 {
			args = []string{"--then", then, fmt.Sprint(v.pid)}
		}
		stdin := io.Reader(nil)
		if in != nil {
			stdin = in
		}
		if p == program {
			r.faulty = supervise(t, f, nil, stdin, w, p, args...)
			r.procs = append(r.procs, r.faulty.Proc)
		} else {
			r.procs = append(r.procs, harness.Start(t, stdin, w, p, args...))
		}
		w.Close()
		if in != nil {
			in.Close()
		}
		in = next
	}
	return r
}

// wait waits for all programs, not for long.
func (r *run) wait() {
	until := time.Now().Add(patience)
	for _, p := range r.procs {
		e, where := p.WaitFor(time.Until(until))
		r.ends = append(r.ends, e)
		if where != "" {
			r.hung = append(r.hung, fmt.Sprintf("%s:\n%s", p.Cmd.Args, where))
		}
	}
}

func (r *run) String() string {
	var b strings.Builder
	for i, e := range r.ends {
		fmt.Fprintf(&b, "%s: %s: %s\n", pipeline[i], e, head(r.procs[i].Stderr.String()))
	}
	return b.String()
}

// head are the first lines of what a program said: a crash says very much.
func head(s string) string {
	l := strings.SplitN(strings.TrimSpace(s), "\n", 5)
	return strings.Join(l[:min(len(l), 4)], "\n")
}

// judge looks at the tree and the image.
func (r *run) judge(t *testing.T, then string, f *fault) (outcome, error) {
	t.Helper()
	freeze, last := r.ends[0], r.ends[len(r.ends)-1]
	if last.Code() == 0 {
		if err := r.verify(t); err != nil {
			return nothing, err
		}
	}
	for until := time.Now().Add(soon); then == "kill" && freeze.Code() == 0 && !dying(r.v.pid) && time.Now().Before(until); {
		time.Sleep(time.Millisecond) // what was killed has a moment to go
	}
	if then == "kill" && (r.halfKilled(t, f) || dying(r.v.pid)) {
		if err := r.verify(t); err != nil {
			return nothing, fmt.Errorf("the tree was killed: %w", err)
		}
		return everythingThere, r.back(t)
	}
	if freeze.Code() == 0 && then == "kill" {
		return nothing, fmt.Errorf("freeze says that the tree is dead")
	}
	if err := r.unharmed(t, f); err != nil {
		return nothing, fmt.Errorf("the tree is not as it was: %w", err)
	}
	if last.Code() == 0 {
		return everythingThere, nil
	}
	return nothing, nil
}

// dying tells whether a process has been killed.
func dying(pid int) bool {
	s, ok := harness.ReadStat(pid)
	return !ok || s.State == "Z" || s.State == "X"
}

func (r *run) verify(t *testing.T) error {
	p := harness.Start(t, nil, nil, "imgcat", "--verify", r.image)
	if e := p.Wait(t); e.Code() != 0 {
		return fmt.Errorf("the image is not whole: %s", p.Stderr)
	}
	return nil
}

// back restores the tree that was killed.
func (r *run) back(t *testing.T) error {
	harness.WaitGone(t, r.v.pids)
	lowPids(t)
	p := harness.Start(t, r.v.stdin, r.v.stdout, "restore", "-d", r.image)
	if e := p.Wait(t); e.Code() != 0 {
		return fmt.Errorf("the tree was killed, and restore: %s", p.Stderr)
	}
	if err := r.v.whole(); err != nil {
		return fmt.Errorf("the tree was killed, and after the restore: %w", err)
	}
	return nil
}

// unharmed makes sure that the tree runs on. A freeze that was killed, or could
// not write to the tree any more, may leave some dead code at the end of a vDSO,
// which the next one takes away.
func (r *run) unharmed(t *testing.T, f *fault) error {
	if _, err := r.v.ask(); err != nil {
		return err
	}
	end := r.ends[0].Code()
	if f != nil && r.procs[0] == r.faulty.Proc && (f.errno == killed || end == 2 || end == 1 && f.nr == unix.SYS_PWRITE64) {
		p := harness.Start(t, nil, nil, "freeze", fmt.Sprint(r.v.pid))
		if e := p.Wait(t); e.Code() != 0 {
			return fmt.Errorf("freeze after a freeze that was killed: %s", p.Stderr)
		}
	}
	return r.v.whole()
}

// halfKilled ends what a freeze has left that was killed while it killed the
// tree itself.
func (r *run) halfKilled(t *testing.T, f *fault) bool {
	if f == nil || f.errno != killed || !slices.ContainsFunc(r.v.live, dying) {
		return false
	}
	r.v.kill(t)
	return true
}
