package vdso

import (
	"bytes"
	"debug/elf"
	"fmt"
	"slices"
	"testing"
)

// What the kernels' vDSOs have, as measured on them by other means: offsets of
// clock_gettime, gettimeofday, time, clock_getres, getcpu, getrandom (0: none).
var known = map[string]struct {
	offsets [6]uint64
	areas   string
	others  []string
}{
	"5.10": {[6]uint64{0x900, 0x720, 0x8d0, 0xb70, 0xbd0}, "[vvar] 4000 [vdso] 2000", nil},
	"6.1":  {[6]uint64{0x960, 0x780, 0x930, 0xbc0, 0xc20}, "[vvar] 4000 [vdso] 2000", []string{"__vdso_sgx_enter_enclave"}},
	"6.12": {[6]uint64{0xbc0, 0x8a0, 0xb90, 0xf70, 0xfe0, 0x1020}, "[vvar] 4000 [vdso] 2000", []string{"__vdso_sgx_enter_enclave"}},
	"6.18": {[6]uint64{0xaf0, 0x810, 0xac0, 0xe80, 0xf00, 0xf40}, "[vvar] 4000 [vvar_vclock] 2000 [vdso] 2000", nil},
	"7.2": {[6]uint64{0xce0, 0x9e0, 0xcb0, 0x1070, 0x10e0, 0x1120}, "[vvar] 4000 [vvar_vclock] 2000 [vdso] 2000",
		[]string{"__vdso_futex_robust_list32_try_unlock", "__vdso_futex_robust_list64_try_unlock", "__vdso_sgx_enter_enclave"}},
}

func TestParseKernels(t *testing.T) {
	names := [6]string{"clock_gettime", "gettimeofday", "time", "clock_getres", "getcpu", "getrandom"}
	for _, k := range kernels {
		v := fixture(t, k)
		want := known[k]
		for i, n := range names {
			for _, name := range []string{n, "__vdso_" + n} {
				s := v.Image.Lookup(name)
				if want.offsets[i] == 0 {
					if s != nil {
						t.Errorf("%s: it has %s", k, name)
					}
				} else if s == nil || s.Offset != want.offsets[i] || s.Version != "LINUX_2.6" || s.Type != STTFunc || s.Weak != (name == n) {
					t.Errorf("%s: %s is %+v, want offset %#x", k, name, s, want.offsets[i])
				}
			}
		}
		var others []string
		for _, s := range v.Image.Symbols {
			if !slices.ContainsFunc(names[:], func(n string) bool { return s.Name == n || s.Name == "__vdso_"+n }) {
				others = append(others, s.Name)
			}
		}
		slices.Sort(others)
		if !slices.Equal(others, want.others) {
			t.Errorf("%s: other symbols %v, want %v", k, others, want.others)
		}
		areas := ""
		for _, a := range v.Areas {
			areas += fmt.Sprintf(" %s %x", a.Name, a.Size())
		}
		if areas != " "+want.areas {
			t.Errorf("%s: areas%s, want %s", k, areas, want.areas)
		}
		major, minor := 0, 0
		fmt.Sscanf(k, "%d.%d", &major, &minor)
		if got := v.Image.LinuxVersion >> 8; got != uint32(major<<8|minor) {
			t.Errorf("%s: version %x", k, got)
		}
		if len(v.Image.BuildID) != 20 || v.Image.Machine != MachineX86_64 {
			t.Errorf("%s: build-id %x, machine %d", k, v.Image.BuildID, v.Image.Machine)
		}
	}
}

// The standard library reads the symbols through the section headers.
func TestParseAsDebugELF(t *testing.T) {
	for _, k := range kernels {
		im := fixture(t, k).Image
		f, err := elf.NewFile(bytes.NewReader(im.code))
		if err != nil {
			t.Fatal(err)
		}
		syms, err := f.DynamicSymbols()
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, s := range syms {
			if s.Section == elf.SHN_ABS {
				continue
			}
			n++
			got := im.lookup(s.Name, s.Version)
			if got == nil || got.Offset != s.Value || got.Size != s.Size || got.Type != s.Info&0xf {
				t.Errorf("%s: %+v, want %+v", k, got, s)
			}
		}
		if n != len(im.Symbols) || n == 0 {
			t.Errorf("%s: %d symbols, want %d", k, len(im.Symbols), n)
		}
	}
}

func TestTail(t *testing.T) {
	for _, k := range kernels {
		im := fixture(t, k).Image
		off, size := im.Tail()
		if off%16 != 0 || off < im.End || off+size != len(im.code) || size < 256 {
			t.Errorf("%s: tail of %d bytes at %#x, end %#x of %#x", k, size, off, im.End, len(im.code))
		}
		if len(bytes.Trim(im.code[im.End:], "\x00")) != 0 {
			t.Errorf("%s: something lies behind the end", k)
		}
		dirty := bytes.Clone(im.code)
		copy(dirty[off:], "left behind")
		again, err := Parse(dirty)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again.Pristine(), im.code) || bytes.Equal(dirty, im.code) {
			t.Errorf("%s: what lies behind the end is in the pristine bytes", k)
		}
	}
}

func TestFindSyscall(t *testing.T) {
	for _, k := range kernels {
		im := fixture(t, k).Image
		off, ok := im.FindSyscall()
		if !ok || im.code[off] != 0x0f || im.code[off+1] != 0x05 || !im.executable(uint64(off), 2) {
			t.Errorf("%s: %#x, %v", k, off, ok)
		}
	}
}

// A vDSO without DT_HASH, as on arm64, and one without DT_GNU_HASH.
func TestParseOneHash(t *testing.T) {
	for _, k := range kernels {
		whole := fixture(t, k).Image
		for _, drop := range []uint64{dtHash, dtGNUHash} {
			im, err := Parse(withoutTag(t, whole.code, drop))
			if err != nil {
				t.Errorf("%s without %#x: %v", k, drop, err)
			} else if !slices.Equal(im.Symbols, whole.Symbols) {
				t.Errorf("%s without %#x: symbols differ", k, drop)
			}
		}
	}
}

// tagAt finds a tag of the dynamic section: its offset.
func tagAt(t testing.TB, b []byte, tag uint64) int {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range f.Progs {
		if p.Type != elf.PT_DYNAMIC {
			continue
		}
		for at := p.Off; at < p.Off+p.Filesz; at += dynSize {
			if le.Uint64(b[at:]) == tag {
				return int(at)
			}
		}
	}
	t.Fatalf("no tag %#x", tag)
	return 0
}

func withoutTag(t testing.TB, b []byte, tag uint64) []byte {
	b = bytes.Clone(b)
	const harmless = 0x6ffffffb // DT_FLAGS_1
	le.PutUint64(b[tagAt(t, b, tag):], harmless)
	return b
}
