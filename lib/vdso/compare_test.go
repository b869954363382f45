package vdso

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"floe/lib/record"
)

func TestCompareKernels(t *testing.T) {
	// Functions of each kernel: with getrandom since 6.11; sgx_enter_enclave and
	// futex_robust_list*_try_unlock are kept where a kernel has none.
	want := map[string]string{
		"5.10 6.1": "proxy: 5 redirected, 0 by syscall", "5.10 6.12": "proxy: 5 redirected, 0 by syscall",
		"5.10 6.18": "proxy: 5 redirected, 0 by syscall", "5.10 7.2": "proxy: 5 redirected, 0 by syscall",
		"6.1 5.10": "proxy: 5 redirected, 0 by syscall, 1 kept", "6.1 6.12": "proxy: 6 redirected, 0 by syscall",
		"6.1 6.18": "proxy: 5 redirected, 0 by syscall, 1 kept", "6.1 7.2": "proxy: 6 redirected, 0 by syscall",
		"6.12 5.10": "proxy: 5 redirected, 1 by syscall, 1 kept", "6.12 6.1": "proxy: 6 redirected, 1 by syscall",
		"6.12 6.18": "proxy: 6 redirected, 0 by syscall, 1 kept", "6.12 7.2": "proxy: 7 redirected, 0 by syscall",
		"6.18 5.10": "proxy: 5 redirected, 1 by syscall", "6.18 6.1": "proxy: 5 redirected, 1 by syscall",
		"6.18 6.12": "proxy: 6 redirected, 0 by syscall", "6.18 7.2": "proxy: 6 redirected, 0 by syscall",
		"7.2 5.10": "proxy: 5 redirected, 1 by syscall, 3 kept", "7.2 6.1": "proxy: 6 redirected, 1 by syscall, 2 kept",
		"7.2 6.12": "proxy: 7 redirected, 0 by syscall, 2 kept", "7.2 6.18": "proxy: 6 redirected, 0 by syscall, 3 kept",
	}
	for _, a := range kernels {
		for _, b := range kernels {
			w := "in place"
			if a != b {
				w = want[a+" "+b]
			}
			if got := Compare(fixture(t, a), fixture(t, b)).String(); got != w {
				t.Errorf("%s on %s: %s, want %s", a, b, got, w)
			}
		}
	}
}

// What reads the kernel's data is never taken for plain code.
func TestPlain(t *testing.T) {
	for _, k := range kernels {
		im := fixture(t, k).Image
		for _, s := range im.Symbols {
			if strings.Contains(s.Name, "getcpu") {
				continue // reads the processor's own registers: either way is right
			}
			want := strings.Contains(s.Name, "sgx") || strings.Contains(s.Name, "futex")
			if got := plain(im, s); got != want {
				t.Errorf("%s: %s: %v", k, s.Name, got)
			}
		}
	}
}

// rebuilt is a vDSO with another build-id and nothing else changed.
func rebuilt(t *testing.T, v VDSO) VDSO {
	b := bytes.Clone(v.Image.code)
	i := bytes.Index(b, v.Image.BuildID)
	b[i] ^= 0xff
	im, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return VDSO{v.Areas, im}
}

func TestCompareSameCode(t *testing.T) {
	v := fixture(t, "6.12")
	if got := Compare(rebuilt(t, v), v); got.Kind != InPlace {
		t.Errorf("another build-id: %v", got)
	}
	missing := VDSO{v.Areas[1:], v.Image}
	if got := Compare(missing, v); got.Kind != Proxy || got.Redirected != 7 || got.Why == "" {
		t.Errorf("without [vvar]: %v (%s)", got, got.Why)
	}
	renamed := bytes.Clone(v.Image.code)
	le.PutUint64(renamed[entry(t, renamed, "time")+8:], 0xba0)
	le.PutUint64(renamed[entry(t, renamed, "time")+16:], 0)
	im, err := Parse(renamed)
	if err == nil {
		got := Compare(VDSO{v.Areas, im}, v)
		if got.Kind == InPlace || got.Why != "the build-ids are the same and the symbols are not" {
			t.Errorf("a forged build-id: %v (%s)", got, got.Why)
		}
	}
}

func TestCompareImpossible(t *testing.T) {
	v := fixture(t, "6.12")
	arm := bytes.Clone(v.Image.code)
	arm[18] = MachineAArch64
	im, err := Parse(arm)
	if err != nil {
		t.Fatal(err)
	}
	other := bytes.Clone(v.Image.code)
	for {
		i := bytes.Index(other, []byte("clock_getres\x00"))
		if i < 0 {
			break
		}
		copy(other[i:], "clock_foobar")
	}
	unknown, err := Parse(other)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		image, runtime VDSO
		want           string
	}{
		{VDSO{v.Areas, im}, v, "impossible: the image's is for ELF machine 183, this kernel's for 62"},
		{v, VDSO{}, "impossible: this kernel gives no vDSO"},
		{VDSO{Areas: v.Areas[:1]}, v, "impossible: the image has [vvar] without the code that it belongs to"},
		{VDSO{v.Areas, unknown}, fixture(t, "6.1"), "impossible: this kernel has no __vdso_clock_foobar, and floe knows no system call for it"},
	} {
		if got := Compare(test.image, test.runtime); got.Kind != Impossible || got.String() != test.want {
			t.Errorf("%v, want %s", got, test.want)
		}
	}
	if got := Compare(VDSO{}, v); got.Kind != InPlace {
		t.Errorf("a process without a vDSO: %v", got)
	}
}

func TestRecord(t *testing.T) {
	for _, k := range kernels {
		v := fixture(t, k)
		dirty := bytes.Clone(v.Image.code)
		off, _ := v.Image.Tail()
		dirty[off] = 1
		rec, err := Record(7, v.Areas, dirty)
		if err != nil {
			t.Fatal(err)
		}
		back, err := FromRecord(rec)
		if err != nil {
			t.Fatal(err)
		}
		if rec.MmId != 7 || !slices.Equal(back.Areas, v.Areas) || !slices.Equal(back.Image.Symbols, v.Image.Symbols) || !bytes.Equal(rec.Image, v.Image.code) || !bytes.Equal(rec.BuildId, v.Image.BuildID) {
			t.Errorf("%s: it comes back differently", k)
		}
		for want, damage := range map[string]func(*record.Vdso){
			"symbols are not":            func(r *record.Vdso) { r.Symbols[0].Offset++ },
			"are not those":              func(r *record.Vdso) { r.Symbols = r.Symbols[1:] },
			"build-id":                   func(r *record.Vdso) { r.BuildId[3] ^= 1 },
			"4096 bytes of an area":      func(r *record.Vdso) { r.Image = r.Image[:4096] },
			"no area for them":           func(r *record.Vdso) { r.Areas = r.Areas[:len(r.Areas)-1] },
			"malformed":                  func(r *record.Vdso) { r.Areas[0].End = 0 },
			"it is no ELF image":         func(r *record.Vdso) { r.Image = make([]byte, len(r.Image)) },
			"said to be code, or not":    func(r *record.Vdso) { r.Areas[len(r.Areas)-1].Code = false },
			"out of order":               func(r *record.Vdso) { slices.Reverse(r.Areas) },
			"the record's build-id or v": func(r *record.Vdso) { r.LinuxVersion++ },
		} {
			rec, _ := Record(7, v.Areas, bytes.Clone(v.Image.code))
			damage(rec)
			if _, err := FromRecord(rec); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %s", k, err, want)
			}
		}
	}
	rec, err := Record(7, nil, nil)
	if err != nil || len(rec.Areas) != 0 {
		t.Errorf("a process without a vDSO: %v, %v", rec, err)
	}
	if v, err := FromRecord(rec); err != nil || v.Image != nil {
		t.Errorf("a process without a vDSO: %v, %v", v, err)
	}
}
