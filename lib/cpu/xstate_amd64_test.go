package cpu

import (
	"bytes"
	"encoding/binary"
	"testing"

	"floe/lib/record"
)

// Layouts of three processors: AVX; with AVX-512 and keys; the same of another
// vendor, whose keys are elsewhere.
var (
	avx    = layout(0x7, 832, 2, 576, 256)
	avx512 = layout(0x2e7, 2696, 2, 576, 256, 5, 1088, 64, 6, 1152, 512, 7, 1664, 1024, 9, 2688, 8)
	other  = layout(0x2e7, 2440, 2, 576, 256, 5, 832, 64, 6, 896, 512, 7, 1408, 1024, 9, 2432, 8)
)

func layout(xcr0 uint64, size uint32, components ...uint32) *record.Cpu {
	c := &record.Cpu{Xcr0: xcr0, XsaveSize: size}
	for ; len(components) > 0; components = components[3:] {
		c.Xsave = append(c.Xsave, &record.XsaveComponent{Number: components[0], Offset: components[1], Size: components[2]})
	}
	return c
}

// area has each component in use filled with its number.
func area(c *record.Cpu, states uint64) []byte {
	b := make([]byte, c.XsaveSize)
	for i := range legacyBytes {
		b[i] = 0xee
	}
	binary.LittleEndian.PutUint64(b[statesAt:], states)
	for _, x := range c.Xsave {
		if states>>x.Number&1 != 0 {
			copy(b[x.Offset:], bytes.Repeat([]byte{byte(x.Number)}, int(x.Size)))
		}
	}
	return b
}

func TestXState(t *testing.T) {
	keys := func(b []byte, c *record.Cpu, value uint32) []byte {
		binary.LittleEndian.PutUint64(b[statesAt:], binary.LittleEndian.Uint64(b[statesAt:])|1<<pkru)
		clear(component(b, c, pkru))
		binary.LittleEndian.PutUint32(component(b, c, pkru), value)
		return b
	}
	zeros := area(avx512, 7)
	zeros[statesAt] |= 1 << 6
	for _, test := range []struct {
		name       string
		area       []byte
		from, here *record.Cpu
		want       []byte // nil: refused
	}{
		{"same", area(avx512, 0xe7), avx512, avx512, area(avx512, 0xe7)},
		{"moved", area(avx512, 0x2e7), avx512, other, area(other, 0x2e7)},
		{"moved back", area(other, 0x2e7), other, avx512, area(avx512, 0x2e7)},
		{"to less, not used", area(avx512, 7), avx512, avx, area(avx, 7)},
		{"to less, used", area(avx512, 0x47), avx512, avx, nil},
		{"to less, in use and empty", zeros, avx512, avx, area(avx, 7)},
		{"to more", area(avx, 7), avx, avx512, keys(area(avx512, 7), avx512, pkruDefault)},
		{"keys left out", keys(area(avx512, 3), avx512, pkruDefault), avx512, avx, area(avx, 3)},
		{"key 0 closed", keys(area(avx512, 3), avx512, 1), avx512, avx, nil},
		{"cut short", area(avx512, 7)[:600], avx512, avx, nil},
		{"no area", nil, avx, avx, nil},
	} {
		got, err := XState(test.area, test.from, test.here)
		if (err == nil) != (test.want != nil) || !bytes.Equal(got, test.want) {
			t.Errorf("%s: %v, %x; want %x", test.name, err, got, test.want)
		}
	}
}

func TestFrameState(t *testing.T) {
	amx := layout(0x600e7, 11008, 2, 576, 256, 17, 2752, 64, 18, 2816, 8192)
	if part, states := FrameState(make([]byte, amx.XsaveSize), amx); len(part) != 832 || states != 0xe7 {
		t.Errorf("%d bytes, components %#x", len(part), states)
	}
}

// The layout of this machine is one that XState takes to itself.
func TestHere(t *testing.T) {
	c, err := Here()
	if err != nil {
		t.Fatal(err)
	}
	b := area(c, c.Xcr0&^amx)
	if got, err := XState(b, c, c); err != nil || !bytes.Equal(got, b) {
		t.Errorf("%v", err)
	}
	if len(Lacks(c, c)) != 0 {
		t.Errorf("this processor lacks %v of itself", Lacks(c, c))
	}
}
