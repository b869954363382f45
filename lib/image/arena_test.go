package image

import (
	"bytes"
	"runtime"
	"testing"
)

func TestArena(t *testing.T) {
	a := newArena()
	var want [][]byte
	var places []place
	for n := range 3000 {
		b := bytes.Repeat([]byte{1, 0, 0, 0, 0, 0, byte(n)}, n%200)
		if n%1000 == 999 {
			b = bytes.Repeat([]byte{byte(n)}, 3<<20) // larger than a chunk
		}
		p, _, err := a.add(b)
		if err != nil {
			t.Fatal(err)
		}
		want, places = append(want, b), append(places, p)
	}
	runtime.GC()
	for i, p := range places {
		if got := a.get(p); !bytes.Equal(got, want[i]) {
			t.Fatalf("entry %d: %d bytes, want %d", i, len(got), len(want[i]))
		}
	}
}

func TestSqueezeShrinks(t *testing.T) {
	b := make([]byte, 2700)
	b[0], b[600], b[2699] = 1, 2, 3
	if n := len(squeeze(nil, b)); n > 20 {
		t.Errorf("%d bytes", n)
	}
}

func FuzzSqueeze(f *testing.F) {
	for _, b := range [][]byte{nil, {0}, {1}, {0, 0, 0, 0}, {1, 0, 0, 0, 0, 0, 2}, {0, 0, 0, 1, 0, 0, 0}, bytes.Repeat([]byte{0}, 300)} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s := squeeze(nil, b)
		if got := expand(s); !bytes.Equal(got, b) {
			t.Errorf("%x became %x", b, got)
		}
		if len(s) > len(b)+len(b)/4+8 {
			t.Errorf("%d bytes became %d", len(b), len(s))
		}
	})
}
