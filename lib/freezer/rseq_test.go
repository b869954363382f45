package freezer

import (
	"context"
	"fmt"
	"testing"
	"time"

	"floe/lib/inject"
	"floe/lib/tracer"
)

// TestRseqGuess finds registrations as on a kernel that can't tell, and
// compares with what this one says.
func TestRseqGuess(t *testing.T) {
	needRoot(t)
	v := start(t, compile(t, "shapes"), "rseqs")
	var addr uint64
	if _, err := fmt.Sscanf(<-v.lines, "ok 0x%x", &addr); err != nil {
		t.Fatal(err)
	}
	tr := tracer.New()
	defer tr.Close()
	cut := 0
	if err := tr.Do(func(p *tracer.Ptrace) error {
		for range 100 {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			tree, err := Freeze(ctx, p, v.pid)
			cancel()
			if err != nil {
				return err
			}
			n, err := guessAll(p, tree)
			if err == nil {
				err = tracer.WriteMem(tracer.TID(v.pid), tracer.Addr(addr), []byte{1})
			}
			if terr := tree.Thaw(p); err == nil {
				err = terr
			}
			if err != nil {
				return err
			}
			cut += n
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if cut == 0 {
		t.Error("no critical section was cut")
	}
	t.Logf("%d of 100 freezes cut a critical section", cut)
	v.ok()
}

func guessAll(p *tracer.Ptrace, tree *Tree) (cut int, err error) {
	c := &collector{p: p}
	for _, proc := range tree.Procs {
		g, err := inject.NewGuest(tracer.TID(proc.PID))
		if err != nil {
			return 0, err
		}
		defer g.Close()
		for _, th := range proc.Threads {
			want, err := p.RseqConfig(th.TID)
			if err != nil {
				return 0, err
			}
			got, err := c.rseqGuess(g, th)
			if err != nil {
				return 0, err
			}
			if got == nil || got.Addr != want.Addr || got.Size != want.Size || got.Signature != want.Signature {
				return 0, fmt.Errorf("%+v, not %+v", got, want)
			}
			if got.CriticalSection != 0 {
				cut++
			}
		}
	}
	return cut, nil
}

// TestNoRseq: nothing is found where nothing is, and nothing is left there.
func TestNoRseq(t *testing.T) {
	needRoot(t)
	t.Setenv("GLIBC_TUNABLES", "glibc.pthread.rseq=0")
	v := start(t, compile(t, "shapes"), "plain")
	tr := tracer.New()
	defer tr.Close()
	if err := tr.Do(func(p *tracer.Ptrace) (err error) {
		tree, err := Freeze(context.Background(), p, v.pid)
		if err != nil {
			return err
		}
		defer func() { _ = tree.Thaw(p) }()
		g, err := inject.NewGuest(tracer.TID(v.pid))
		if err != nil {
			return err
		}
		defer g.Close()
		r, err := (&collector{p: p}).rseqGuess(g, tree.Procs[0].Threads[0])
		if err == nil && r != nil {
			err = fmt.Errorf("found %+v", r)
		}
		if err != nil {
			return err
		}
		c, err := p.RseqConfig(tracer.TID(v.pid))
		if err == nil && c.Addr != 0 {
			err = fmt.Errorf("registered now: %+v", c)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	v.ok()
}
