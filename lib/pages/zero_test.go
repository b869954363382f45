package pages

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestIsZero(t *testing.T) {
	page := make([]byte, PageSize)
	if !isZero(page) {
		t.Error("a page of zeros is said not to be")
	}
	for i := range page {
		page[i] = 1
		if isZero(page) {
			t.Errorf("a page with byte %d set is said to be zero", i)
		}
		page[i] = 0
	}
}

// TestSplitZero splits random patterns and puts them together again.
func TestSplitZero(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 200 {
		mem := map[uint64][]byte{}
		var runs []Run
		var buf []byte
		for addr := uint64(0x10000); countPages(runs) < 64; {
			r := Run{addr, 1 + rng.Uint64N(6)}
			addr = r.End() + PageSize*rng.Uint64N(3)
			for a := r.Addr; a < r.End(); a += PageSize {
				page := make([]byte, PageSize)
				if rng.IntN(3) > 0 {
					page[rng.IntN(PageSize)] = byte(1 + rng.IntN(255))
				}
				mem[a], buf = page, append(buf, page...)
			}
			runs = append(runs, r)
		}
		n, data, zero := splitZero(buf, runs, nil, nil)
		if uint64(n) != countPages(data)*PageSize || countPages(data)+countPages(zero) != countPages(runs) {
			t.Fatalf("round %d: %d bytes, data %v, zero %v of %v", round, n, data, zero, runs)
		}
		for _, r := range data {
			for a := r.Addr; a < r.End(); a, buf = a+PageSize, buf[PageSize:] {
				if !bytes.Equal(mem[a], buf[:PageSize]) || isZero(mem[a]) {
					t.Fatalf("round %d: page %#x is wrong", round, a)
				}
				delete(mem, a)
			}
		}
		for _, r := range zero {
			for a := r.Addr; a < r.End(); a += PageSize {
				if p, ok := mem[a]; !ok || !isZero(p) {
					t.Fatalf("round %d: page %#x is not zero", round, a)
				}
				delete(mem, a)
			}
		}
		if len(mem) != 0 || !slices.IsSortedFunc(data, func(a, b Run) int { return int(a.Addr - b.Addr) }) {
			t.Fatalf("round %d: pages lost, or out of order", round)
		}
	}
}

func BenchmarkSplitZero(b *testing.B) {
	for _, c := range []struct {
		name string
		fill func(page int, p []byte)
	}{
		{"random", func(_ int, p []byte) { p[0] = 1 }},
		{"late", func(_ int, p []byte) { p[3000] = 1 }},
		{"zero", func(int, []byte) {}},
		{"alternate", func(i int, p []byte) { p[0] = byte(i & 1) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			src, buf := make([]byte, BlockSize), make([]byte, BlockSize)
			for i := range BlockPages {
				c.fill(i, src[i*PageSize:][:PageSize])
			}
			copy(buf, src)
			b.SetBytes(BlockSize)
			data, zero := make([]Run, 0, BlockPages), make([]Run, 0, BlockPages)
			for b.Loop() {
				splitZero(buf, []Run{{0, BlockPages}}, data[:0], zero[:0])
			}
		})
	}
}
