package vdso

import (
	"bytes"
	"fmt"

	"floe/lib/record"
)

// Kind is what restore would do with an image's vDSO.
type Kind int

// Kinds of verdict.
const (
	InPlace    Kind = iota // this kernel's own, at the addresses of the image
	Proxy                  // the image's, with its functions redirected
	Impossible             // neither
)

// Verdict is the outcome of a comparison.
type Verdict struct {
	Kind       Kind
	Redirected int    // functions that this kernel has too
	ByCall     int    // functions that it lacks: plain system calls
	Why        string // Impossible, and why not InPlace
}

func (v Verdict) String() string {
	switch v.Kind {
	case InPlace:
		return "in place"
	case Proxy:
		return fmt.Sprintf("proxy: %d redirected, %d by syscall", v.Redirected, v.ByCall)
	}
	return "impossible: " + v.Why
}

// Compare tells what would have to be done to bring the image's vDSO back
// where the runtime's areas and image are the kernel's own.
func Compare(image []Area, im *Image, runtime []Area, rt *Image) Verdict {
	sameAreas := equalAreas(image, runtime)
	switch {
	case sameAreas == "" && len(im.BuildID) > 0 && bytes.Equal(im.BuildID, rt.BuildID):
		return Verdict{Kind: InPlace}
	case sameAreas == "" && equalSymbols(im.Symbols, rt.Symbols):
		return Verdict{Kind: InPlace}
	}
	v := Verdict{Kind: Proxy, Why: sameAreas}
	have := map[string]bool{}
	for _, s := range rt.Symbols {
		have[s.Name] = true
	}
	seen := map[uint64]bool{}
	for _, s := range im.Symbols {
		if seen[s.Offset] {
			continue
		}
		seen[s.Offset] = true
		if have[s.Name] {
			v.Redirected++
		} else {
			v.ByCall++
		}
	}
	return v
}

// equalAreas says how two lists of areas differ; empty: in nothing but where
// they begin.
func equalAreas(a, b []Area) string {
	if len(a) != len(b) {
		return fmt.Sprintf("%d areas against %d", len(a), len(b))
	}
	for i := range a {
		if a[i].Name != b[i].Name || a[i].End-a[i].Start != b[i].End-b[i].Start || a[i].Start-a[0].Start != b[i].Start-b[0].Start {
			return fmt.Sprintf("area %s against %s", a[i].Name, b[i].Name)
		}
	}
	return ""
}

func equalSymbols(a, b []Symbol) bool {
	if len(a) != len(b) || len(a) == 0 {
		return false
	}
	for i := range a {
		if a[i].Name != b[i].Name || a[i].Version != b[i].Version || a[i].Offset != b[i].Offset {
			return false
		}
	}
	return true
}

// CompareHere compares a record with this kernel's vDSO. An error means that
// the record's is none.
func CompareHere(v *record.Vdso) (Verdict, error) {
	areas, code, err := Own()
	if err != nil {
		return Verdict{}, err
	}
	im, err := Parse(v.Image)
	if err != nil {
		return Verdict{}, fmt.Errorf("of the image: %w", err)
	}
	if len(code) == 0 {
		return Verdict{Kind: Impossible, Why: "this kernel gives no vDSO"}, nil
	}
	rt, err := Parse(code)
	if err != nil {
		return Verdict{}, err
	}
	return Compare(RecordAreas(v), im, areas, rt), nil
}

// RecordAreas are a record's areas.
func RecordAreas(v *record.Vdso) []Area {
	var out []Area
	for _, a := range v.Areas {
		out = append(out, Area{a.Name, a.Start, a.End, a.Code})
	}
	return out
}
