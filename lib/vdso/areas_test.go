package vdso

import (
	"slices"
	"strings"
	"testing"
)

func TestReadAreas(t *testing.T) {
	const (
		heap  = "00400000-00500000 rw-p 00000000 00:00 0                          [heap]\n"
		anon  = "70000000-70001000 rw-p 00000000 00:00 0                          [anon:[vdso]]\n"
		file  = "70002000-70003000 r--p 00000000 fe:00 17                         /tmp/[vvar]\n"
		vvar  = "7fff0000-7fff4000 r--p 00000000 00:00 0                          [vvar]\n"
		clock = "7fff4000-7fff6000 r--p 00000000 00:00 0                          [vvar_vclock]\n"
		code  = "7fff6000-7fff8000 r-xp 00000000 00:00 0                          [vdso]\n"
		stack = "7fff8000-80000000 rw-p 00000000 00:00 0                          [stack]\n"
		vsys  = "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0          [vsyscall]\n"
	)
	for _, test := range []struct {
		name, maps string
		want       []Area
	}{
		{"none", heap + anon + file + stack + vsys, nil},
		{"as it is", heap + anon + file + vvar + clock + code + stack + vsys,
			[]Area{{"[vvar]", 0x7fff0000, 0x7fff4000, false}, {"[vvar_vclock]", 0x7fff4000, 0x7fff6000, false}, {"[vdso]", 0x7fff6000, 0x7fff8000, true}}},
		{"code alone", heap + code + stack, []Area{{"[vdso]", 0x7fff6000, 0x7fff8000, true}}},
		{"data alone", heap + vvar + stack, []Area{{"[vvar]", 0x7fff0000, 0x7fff4000, false}}},
		{"code moved below", "10000000-10002000 r-xp 00000000 00:00 0 [vdso]\n" + vvar + clock,
			[]Area{{"[vdso]", 0x10000000, 0x10002000, true}, {"[vvar]", 0x7fff0000, 0x7fff4000, false}, {"[vvar_vclock]", 0x7fff4000, 0x7fff6000, false}}},
		{"part of the data unmapped", "7fff0000-7fff1000 r--p 00000000 00:00 0 [vvar]\n7fff3000-7fff4000 r--p 00000000 00:00 0 [vvar]\n" + clock + code,
			[]Area{{"[vvar]", 0x7fff0000, 0x7fff1000, false}, {"[vvar]", 0x7fff3000, 0x7fff4000, false}, {"[vvar_vclock]", 0x7fff4000, 0x7fff6000, false}, {"[vdso]", 0x7fff6000, 0x7fff8000, true}}},
		{"code split by mprotect", vvar + clock + "7fff6000-7fff7000 r-xp 00000000 00:00 0 [vdso]\n7fff7000-7fff8000 rwxp 00000000 00:00 0 [vdso]\n",
			[]Area{{"[vvar]", 0x7fff0000, 0x7fff4000, false}, {"[vvar_vclock]", 0x7fff4000, 0x7fff6000, false}, {"[vdso]", 0x7fff6000, 0x7fff8000, true}}},
		{"unknown names beside it", "7ffe0000-7fff0000 r--p 00000000 00:00 0 [rng]\n" + vvar + clock + code + "7fff8000-7fff9000 r--p 00000000 00:00 0 [pvclock]\n7fff9000-7fffa000 r--p 00000000 00:00 0 [more]\n",
			[]Area{{"[rng]", 0x7ffe0000, 0x7fff0000, false}, {"[vvar]", 0x7fff0000, 0x7fff4000, false}, {"[vvar_vclock]", 0x7fff4000, 0x7fff6000, false}, {"[vdso]", 0x7fff6000, 0x7fff8000, true}, {"[pvclock]", 0x7fff8000, 0x7fff9000, false}, {"[more]", 0x7fff9000, 0x7fffa000, false}}},
		{"unknown names away from it", "10000000-10001000 r--p 00000000 00:00 0 [rng]\n" + code, []Area{{"[vdso]", 0x7fff6000, 0x7fff8000, true}}},
		{"uprobes beside it", code + "7fff8000-7fff9000 --xp 00000000 00:00 0 [uprobes]\n", []Area{{"[vdso]", 0x7fff6000, 0x7fff8000, true}}},
	} {
		got, err := ReadAreas(strings.NewReader(test.maps))
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, %v, want %v", test.name, got, err, test.want)
		}
	}
}

func TestCheckAreas(t *testing.T) {
	ok := fixture(t, "7.2").Areas
	if err := CheckAreas(ok); err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func(a []Area) []Area{
		"malformed":    func(a []Area) []Area { a[0].End = a[0].Start; return a },
		"is malformed": func(a []Area) []Area { a[1].Start++; return a },
		"overlaps":     func(a []Area) []Area { a[1].Start = a[0].Start; return a },
		"a lot":        func(a []Area) []Area { return append(make([]Area, 20), a...) },
		"code":         func(a []Area) []Area { a[0].Code = true; return a },
		"two areas of code": func(a []Area) []Area {
			return append(a, Area{"[vdso]", a[2].End, a[2].End + 4096, true})
		},
	} {
		if err := CheckAreas(damage(slices.Clone(ok))); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLayoutDiffers(t *testing.T) {
	here := fixture(t, "7.2").Areas
	moved := slices.Clone(here)
	for i := range moved {
		moved[i].Start, moved[i].End = moved[i].Start-0x1000000, moved[i].End-0x1000000
	}
	if why := layoutDiffers(moved, here); why != "" {
		t.Errorf("moved together: %s", why)
	}
	apart := slices.Clone(moved)
	apart[2] = here[2]
	for _, test := range []struct {
		image []Area
		want  string
	}{
		{apart, "[vdso] lies elsewhere among the areas"},
		{here[1:], "[vvar_vclock] stands where this kernel has [vvar]"},
		{here[:2], "this kernel has [vdso] besides"},
		{append(slices.Clone(here), Area{"[x]", here[2].End, here[2].End + 4096, false}), "the image has [x] besides"},
		{[]Area{{here[0].Name, here[0].Start, here[0].End + 4096, false}, here[1], here[2]}, "[vvar] has 20480 bytes in the image and 16384 here"},
	} {
		if got := layoutDiffers(test.image, here); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}
