package vdso

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

// tableAt finds where a table stands: the value of a tag.
func tableAt(t testing.TB, b []byte, tag uint64) int {
	return int(le.Uint64(b[tagAt(t, b, tag)+8:]))
}

// entry finds the entry of a function in the symbol table.
func entry(t testing.TB, b []byte, name string) int {
	t.Helper()
	names := tableAt(t, b, dtStrTab)
	for at := tableAt(t, b, dtSymTab); at+symSize <= len(b); at += symSize {
		n := names + int(le.Uint32(b[at:]))
		if bytes.HasPrefix(b[n:], []byte(name+"\x00")) {
			return at
		}
	}
	t.Fatalf("no symbol %s", name)
	return 0
}

func TestParseHostile(t *testing.T) {
	for _, test := range []struct {
		name   string
		damage func(b []byte) []byte
		want   string
	}{
		{"nothing", func(b []byte) []byte { return nil }, "its ELF header (64 bytes at 0x0) lies outside of its 0 bytes"},
		{"text", func(b []byte) []byte { return bytes.Repeat([]byte("x"), 4096) }, "it is no ELF image"},
		{"too big", func(b []byte) []byte { return make([]byte, maxCode+1) }, "it has 262145 bytes; 262144 are a lot"},
		{"32 bits", func(b []byte) []byte { b[4] = 1; return b }, "it is a 32-bit ELF image"},
		{"big-endian", func(b []byte) []byte { b[5] = 2; return b }, "it is a big-endian ELF image"},
		{"a program", func(b []byte) []byte { b[16] = 2; return b }, "it is no ELF shared object"},
		{"half", func(b []byte) []byte { return b[:4096] }, "lies outside of its 4096 bytes"},
		{"many segments", func(b []byte) []byte { le.PutUint16(b[56:], 0xffff); return b }, "it has 65535 program headers of 56 bytes"},
		{"segments far away", func(b []byte) []byte { le.PutUint64(b[32:], 1<<63); return b }, "its program header table"},
		{"sections past the end", func(b []byte) []byte { le.PutUint64(b[40:], 8000); return b }, "its section header table"},
		{"no dynamic section", func(b []byte) []byte {
			for i := range int(le.Uint16(b[56:])) {
				if p := b[64+i*phdrSize:]; le.Uint32(p) == ptDynamic {
					le.PutUint32(p, 0x70000000)
				}
			}
			return b
		}, "it has no dynamic section"},
		{"symbol table outside", func(b []byte) []byte { le.PutUint64(b[tagAt(t, b, dtSymTab)+8:], 1<<40); return b }, "its symbol table"},
		{"string table outside", func(b []byte) []byte { le.PutUint64(b[tagAt(t, b, dtStrSz)+8:], 1<<62); return b }, "its string table"},
		{"hash table outside", func(b []byte) []byte { le.PutUint64(b[tagAt(t, b, dtHash)+8:], ^uint64(0)); return b }, "its DT_HASH table"},
		{"gnu hash table outside", func(b []byte) []byte { le.PutUint64(b[tagAt(t, b, dtGNUHash)+8:], 8190); return b }, "its DT_GNU_HASH table"},
		{"no hash table", func(b []byte) []byte { return withoutTag(t, withoutTag(t, b, dtHash), dtGNUHash) }, "it has no hash table"},
		{"a million symbols", func(b []byte) []byte {
			b = withoutTag(t, b, dtGNUHash)
			le.PutUint32(b[tableAt(t, b, dtHash)+4:], 1_000_000)
			return b
		}, "it has 1000000 symbols; 256 are a lot"},
		{"hash tables disagree", func(b []byte) []byte {
			at := tableAt(t, b, dtHash) + 4
			le.PutUint32(b[at:], le.Uint32(b[at:])-1)
			return b
		}, "its hash tables disagree"},
		{"endless gnu chain", func(b []byte) []byte {
			b = withoutTag(t, b, dtHash)
			at := len(b) - 1400 // zeros, behind the image
			for i, word := range []uint32{1, 1, 0, 0, 1} {
				le.PutUint32(b[at+4*i:], word)
			}
			le.PutUint64(b[tagAt(t, b, dtGNUHash)+8:], uint64(at))
			return b
		}, "it has 257 symbols; 256 are a lot"},
		{"huge gnu bucket", func(b []byte) []byte {
			b = withoutTag(t, b, dtHash)
			at := tableAt(t, b, dtGNUHash)
			le.PutUint32(b[at+16+8*int(le.Uint32(b[at+8:])):], 0xffffffff)
			return b
		}, "symbols; 256 are a lot"},
		{"name outside", func(b []byte) []byte { le.PutUint32(b[entry(t, b, "time"):], 1<<31); return b }, "a symbol's name at 0x80000000 lies outside of the string table"},
		{"offset past the end", func(b []byte) []byte { le.PutUint64(b[entry(t, b, "time")+8:], 0x2000); return b }, "symbol time (40 bytes at 0x2000) lies outside of its 8192 bytes"},
		{"end past the end", func(b []byte) []byte { le.PutUint64(b[entry(t, b, "time")+16:], ^uint64(0)); return b }, "symbol time"},
		{"overlap", func(b []byte) []byte {
			le.PutUint64(b[entry(t, b, "time")+16:], 100)
			le.PutUint64(b[entry(t, b, "__vdso_time")+16:], 100)
			return b
		}, "functions time (100 bytes at 0xac0) and __vdso_clock_gettime (at 0xaf0) overlap"},
		{"aliases disagree", func(b []byte) []byte { le.PutUint64(b[entry(t, b, "time")+16:], 39); return b }, "functions __vdso_time and time begin at 0xac0 both and have 40 and 39 bytes"},
		{"in the middle", func(b []byte) []byte { le.PutUint64(b[entry(t, b, "time")+8:], 0xac8); return b }, "overlap"},
		{"two of a name", func(b []byte) []byte {
			copy(b[entry(t, b, "time"):][:4], b[entry(t, b, "getcpu"):][:4])
			return b
		}, "it has two symbols getcpu@LINUX_2.6"},
		{"control characters", func(b []byte) []byte {
			b[tableAt(t, b, dtStrTab)+int(le.Uint32(b[entry(t, b, "time"):]))] = 0x1b
			return b
		}, `a symbol's name is "__vdso_\x1bime"`},
		{"unknown version", func(b []byte) []byte {
			le.PutUint16(b[tableAt(t, b, dtVerSym)+2*(entry(t, b, "time")-tableAt(t, b, dtSymTab))/symSize:], 77)
			return b
		}, "symbol time: version 77 is not defined"},
		{"endless versions", func(b []byte) []byte {
			at := tableAt(t, b, dtVerDef)
			for range 2 {
				next := int(le.Uint32(b[at+16:]))
				if next == 0 {
					le.PutUint32(b[at+16:], 0xffffffff) // out of the image
				}
				at += next
			}
			return b
		}, "its version definitions"},
		{"huge note", func(b []byte) []byte {
			for i := range int(le.Uint16(b[56:])) {
				if p := b[64+i*phdrSize:]; le.Uint32(p) == ptNote {
					le.PutUint32(b[le.Uint64(p[8:])+4:], 0xfffffff0)
				}
			}
			return b
		}, "its note"},
	} {
		b := test.damage(bytes.Clone(fixture(t, "6.18").Image.code))
		_, err := Parse(b)
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "vdso: ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %s", test.name, err, test.want)
		}
	}
}

// Whatever a byte turns into, the parser says something, and what it accepts can
// be worked with.
func TestParseDamaged(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for n, k := range kernels {
		v := fixture(t, k)
		for i := n; i < v.Image.End; i += 5 {
			b := bytes.Clone(v.Image.code)
			b[i] ^= byte(1 + rnd.IntN(255))
			exercise(b, v)
		}
		for n := 0; n < len(v.Image.code); n += 61 {
			exercise(v.Image.code[:n], v)
		}
	}
}

// exercise does with bytes all that floe would.
func exercise(b []byte, runtime VDSO) {
	im, err := Parse(b)
	if err != nil {
		return
	}
	off, size := im.Tail()
	_ = im.Pristine()[off : off+size]
	im.FindSyscall()
	Compare(VDSO{runtime.Areas, im}, runtime)
	Compare(runtime, VDSO{runtime.Areas, im})
}

func FuzzParse(f *testing.F) {
	for _, k := range kernels {
		f.Add(fixture(f, k).Image.code)
	}
	runtime := fixture(f, "7.2")
	f.Fuzz(func(t *testing.T, b []byte) { exercise(b, runtime) })
}
