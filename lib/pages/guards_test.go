package pages

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
)

// regions has the guard regions of an address space as they come back.
func regions(g *Guards, mm uint64) []Run {
	var list []Run
	for start, end := range g.Of(mm) {
		list = append(list, Run{start, (end - start) / PageSize})
	}
	return list
}

// TestPacked keeps guard regions of three address spaces, and gives them back.
func TestPacked(t *testing.T) {
	var g Guards
	if len(regions(&g, 1)) != 0 {
		t.Error("there are guard regions in nothing")
	}
	want := map[uint64][]Run{}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, mm := range []uint64{7, 1, 1 << 60} {
		at := uint64(0)
		for range 20000 {
			gap := 1 + rng.Uint64N(4)
			if rng.IntN(100) == 0 {
				gap = 1 + rng.Uint64()>>34
			}
			r := Run{at + gap*PageSize, 1 + rng.Uint64N(300)}
			at = r.End()
			want[mm] = append(want[mm], r)
			// In two pieces, as records may bring them.
			first := Run{r.Addr, 1}
			g.add(mm, first)
			if r.Pages > 1 {
				g.add(mm, Run{first.End(), r.Pages - 1})
			}
		}
	}
	for mm, list := range want {
		if got := regions(&g, mm); !slices.Equal(got, list) {
			t.Errorf("address space %d: %d regions, not the %d that went in", mm, len(got), len(list))
		}
		n := 0
		for range g.Of(mm) {
			if n++; n == 10 {
				break
			}
		}
	}
	if got := slices.Sorted(g.Spaces()); !slices.Equal(got, []uint64{1, 7, 1 << 60}) {
		t.Errorf("spaces %v", got)
	}
}

// TestPackedSize: a guard region takes a few bytes.
func TestPackedSize(t *testing.T) {
	const n = 1 << 20
	var before, after runtime.MemStats
	var g Guards
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range uint64(n) {
		g.add(7, Run{base + 2*i*PageSize, 1})
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 3*n {
		t.Errorf("%d guard regions take %d bytes", n, took)
	}
	runtime.KeepAlive(&g)
}
