package crc32c

import (
	"hash/crc32"
	"math/rand/v2"
	"testing"
)

// TestKnown has the values of RFC 3720, appendix B.4.
func TestKnown(t *testing.T) {
	zeros, ones, up := make([]byte, 32), make([]byte, 32), make([]byte, 32)
	for i := range up {
		ones[i], up[i] = 0xff, byte(i)
	}
	for _, c := range []struct {
		b    []byte
		want uint32
	}{
		{nil, 0},
		{zeros, 0x8a9136aa},
		{ones, 0x62a8ab43},
		{up, 0x46dd794e},
		{[]byte("123456789"), 0xe3069283},
	} {
		if got := Checksum(c.b); got != c.want {
			t.Errorf("%x: %#x, want %#x", c.b, got, c.want)
		}
	}
}

// TestUpdate compares with the standard library: every short length at every
// alignment, and lengths around the one where it takes over, before and after.
func TestUpdate(t *testing.T) {
	for _, before := range []int64{0, much} {
		sum.Store(before)
		testUpdate(t)
	}
}

func testUpdate(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, 2*long)
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	compare := func(crc uint32, b []byte) {
		t.Helper()
		want := crc32.Update(crc, crc32.MakeTable(crc32.Castagnoli), b)
		if got := Update(crc, b); got != want {
			t.Fatalf("%d bytes behind %#x: %#x, want %#x", len(b), crc, got, want)
		}
	}
	for n := range 100 {
		for at := range 8 {
			compare(rnd.Uint32(), b[at:at+n])
		}
	}
	for n := long - 10; n < long+10; n++ {
		compare(rnd.Uint32(), b[:n])
	}
	for range 100 {
		at := rnd.IntN(len(b))
		compare(rnd.Uint32(), b[at:at+rnd.IntN(len(b)-at)])
	}
}

// In pieces it is the same as at once.
func TestPieces(t *testing.T) {
	b := make([]byte, 3*long)
	for i := range b {
		b[i] = byte(i * i)
	}
	crc := uint32(0)
	for i, rest := 1, b; len(rest) > 0; i = i*3 + 1 {
		n := min(i, len(rest))
		crc, rest = Update(crc, rest[:n]), rest[n:]
	}
	if want := Checksum(b); crc != want {
		t.Errorf("%#x, want %#x", crc, want)
	}
}
