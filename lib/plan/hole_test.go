package plan

import "testing"

func TestHole(t *testing.T) {
	used := []Span{{0x400000, 0x500000}, {0x100000, 0x200000}, {0x7fff00000000, 0x7fffff000000}}
	for _, c := range []struct{ size, want uint64 }{{0x1000, 0x200000}, {0x200000, 0x200000}, {0x300000, 0x500000}} {
		if got, err := Hole(used, c.size); err != nil || got != c.want {
			t.Errorf("hole of %#x at %#x, %v; want %#x", c.size, got, err, c.want)
		}
	}
	if _, err := Hole([]Span{{0, UserCeiling}}, 4096); err == nil {
		t.Error("a hole in a full address space")
	}
}
