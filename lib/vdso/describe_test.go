package vdso

import (
	"bytes"
	"testing"
)

func TestDescribe(t *testing.T) {
	here := fixture(t, "6.18")
	edit := func(at int) VDSO {
		b := bytes.Clone(here.Image.code)
		b[at] ^= 1
		im, err := Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		return VDSO{here.Areas, im}
	}
	tail, _ := here.Image.Tail()
	for _, test := range []struct {
		name string
		v    VDSO
		want StateKind
	}{
		{"itself", here, Native},
		{"something behind its end", edit(tail), Native},
		{"a byte of a function", edit(0xaf3), Changed},
		{"another kernel's", fixture(t, "7.2"), Foreign},
		{"nothing", VDSO{}, None},
		{"no data", VDSO{here.Areas[2:], here.Image}, Partial},
		{"no code", VDSO{Areas: here.Areas[:2]}, Partial},
	} {
		if got := Describe(test.v, here); got.Kind != test.want || (got.Why == "") != (test.want == Native || test.want == None) {
			t.Errorf("%s: %v", test.name, got)
		}
	}
	if got := Describe(here, here).At(here, here.Areas[2].Start); got.Kind != Native {
		t.Errorf("in its place: %v", got)
	}
	if got := Describe(here, here).At(here, 4096); got.Kind != Moved {
		t.Errorf("moved: %v", got)
	}
}

// This process's own is native, and the records that restore compares say so.
func TestHere(t *testing.T) {
	here, err := Here()
	if err != nil || here.Image == nil {
		t.Fatalf("%v, %v", here, err)
	}
	if got := Describe(here, here); got.Kind != Native {
		t.Errorf("%v", got)
	}
	rec, err := Record(1, here.Areas, here.Image.code)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := CompareHere(rec); err != nil || v.Kind != InPlace {
		t.Errorf("%v, %v", v, err)
	}
}
