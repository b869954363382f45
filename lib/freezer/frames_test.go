package freezer

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"floe/lib/image"
	"floe/lib/tracer"
)

// TestHandlers freezes a program whose signal handlers interrupt calls of the
// vDSO most of the time: never while one has to return into it.
func TestHandlers(t *testing.T) {
	needRoot(t)
	bin := compile(t, "handler")
	for _, mode := range []string{"nap", "alt", "nested"} {
		t.Run(mode, func(t *testing.T) {
			v := start(t, bin, mode)
			var addr uint64
			if _, err := fmt.Sscanf(<-v.lines, "ok 0x%x", &addr); err != nil {
				t.Fatal(err)
			}
			tr := tracer.New()
			defer tr.Close()
			if err := tr.Do(func(p *tracer.Ptrace) error {
				for i := range 50 {
					if _, err := freeze(p, v.pid, func(*Tree, *image.Image) error {
						var b [1]byte
						if err := tracer.ReadMem(tracer.TID(v.pid), tracer.Addr(addr), b[:]); err != nil {
							return err
						}
						if b[0] != 0 {
							return fmt.Errorf("a handler will return into the vDSO")
						}
						return nil
					}); err != nil {
						return fmt.Errorf("round %d: %w", i, err)
					}
					time.Sleep(time.Millisecond)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestHandlerStays has a handler that never returns: the tree is let go.
func TestHandlerStays(t *testing.T) {
	needRoot(t)
	v := start(t, compile(t, "handler"), "stay")
	for line := range v.lines {
		if strings.Contains(line, "inside") {
			break
		}
	}
	before := maps(v.pid)
	tr := tracer.New()
	defer tr.Close()
	err := tr.Do(func(p *tracer.Ptrace) error {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err := Freeze(ctx, p, v.pid)
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "signal handler") || !strings.Contains(err.Error(), "it runs on") {
		t.Errorf("got %v", err)
	}
	untouched(t, v.pid, before)
}
