package pages

import (
	"slices"
	"testing"
)

func TestAppendMerged(t *testing.T) {
	p := func(page, n uint64) Run { return Run{page * PageSize, n} }
	for _, c := range []struct{ a, b, want []Run }{
		{nil, nil, nil},
		{[]Run{p(1, 1)}, nil, []Run{p(1, 1)}},
		{[]Run{p(1, 1), p(4, 2)}, []Run{p(2, 2), p(9, 1)}, []Run{p(1, 5), p(9, 1)}},
		{[]Run{p(5, 1)}, []Run{p(1, 1), p(2, 1), p(6, 1)}, []Run{p(1, 2), p(5, 2)}},
	} {
		if got := appendMerged(nil, c.a, c.b); !slices.Equal(got, c.want) {
			t.Errorf("%v and %v: %v, want %v", c.a, c.b, got, c.want)
		}
	}
}

func TestCutRuns(t *testing.T) {
	runs := []Run{{0, 2}, {0x8000, 3}}
	for n, want := range [][2][]Run{
		{{}, runs},
		{{{0, 1}}, {{0x1000, 1}, {0x8000, 3}}},
		{{{0, 2}}, {{0x8000, 3}}},
		{{{0, 2}, {0x8000, 1}}, {{0x9000, 2}}},
		{{{0, 2}, {0x8000, 2}}, {{0xa000, 1}}},
		{runs, {}},
		{runs, {}},
	} {
		head, tail := cutRuns(runs, uint64(n))
		if !slices.Equal(head, want[0]) || !slices.Equal(tail, want[1]) {
			t.Errorf("after %d pages: %v and %v, want %v", n, head, tail, want)
		}
	}
	if !slices.Equal(runs, []Run{{0, 2}, {0x8000, 3}}) {
		t.Errorf("cutting has changed the runs: %v", runs)
	}
}

// TestIndex adds far more records than the index may have entries.
func TestIndex(t *testing.T) {
	for _, perOwner := range []uint64{1 << 40, 1000, 1} {
		x := newIndex(64)
		const n = 10000
		for i := range uint64(n) {
			x.add(indexEntry{owner: owner{mm: i / perOwner}, offset: 100 + i, vaddr: i * PageSize, pages: 2})
		}
		if perOwner > 1 && len(x.entries) > 64 {
			t.Errorf("%d entries, want 64 at most", len(x.entries))
		}
		var pages, last uint64
		for i, b := range x.blocks() {
			if b.Offset <= last || b.Vaddr != (b.Offset-100)*PageSize || b.MmId != (b.Offset-100)/perOwner || i == 0 && b.Offset != 100 {
				t.Fatalf("entry %d is wrong: %v", i, b)
			}
			pages, last = pages+b.Pages, b.Offset
		}
		if pages != 2*n {
			t.Errorf("%d pages in the index, want %d", pages, 2*n)
		}
	}
}
