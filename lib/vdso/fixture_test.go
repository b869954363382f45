package vdso

import (
	"os"
	"testing"
)

// kernels are the fixtures, oldest first.
var kernels = []string{"5.10", "6.1", "6.12", "6.18", "7.2"}

// fixture is the vDSO of a kernel, as one was captured.
func fixture(t testing.TB, name string) VDSO {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name + ".vdso")
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open("testdata/" + name + ".smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	areas, err := ReadAreas(f)
	if err != nil {
		t.Fatal(err)
	}
	im, err := Parse(b)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return VDSO{areas, im}
}
