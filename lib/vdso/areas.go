package vdso

import (
	"fmt"
	"slices"
	"strings"
)

// Mapping is one of a process's mappings, as maps shows it.
type Mapping struct {
	Start, End uint64
	Name       string
	File       bool // a file is behind it: the name is a path
	Shared     bool
	Prot       uint32 // PROT_*
	Wiped      bool   // on fork; maps does not tell
}

// Area is one mapping of the vDSO: the code, or data of the kernel's.
type Area struct {
	Name  string `json:"name"`
	Start uint64 `json:"start"`
	End   uint64 `json:"end"` // exclusive
	Code  bool   `json:"code,omitempty"`
}

// Size is the area's, bytes.
func (a Area) Size() uint64 { return a.End - a.Start }

// codeName is the name of the code area.
const codeName = "[vdso]"

// FindAreas picks the areas of the vDSO out of mappings in order of address.
// They are those named [vdso… and [vvar…, and those of an unknown name in
// brackets that touch one: what the next kernel adds. Areas that a program has
// moved, and parts of areas, count as they stand.
func FindAreas(ms []Mapping) []Area {
	in := make([]bool, len(ms))
	for i, m := range ms {
		in[i] = isArea(m)
	}
	for i := range ms { // unknown ones above a known one, any number in a row
		in[i] = in[i] || i > 0 && in[i-1] && special(ms[i]) && ms[i-1].End == ms[i].Start
	}
	for i := len(ms) - 2; i >= 0; i-- { // and below
		in[i] = in[i] || in[i+1] && special(ms[i]) && ms[i].End == ms[i+1].Start
	}
	var out []Area
	for i, m := range ms {
		if !in[i] {
			continue
		}
		if n := len(out); n > 0 && out[n-1].Name == m.Name && out[n-1].End == m.Start {
			out[n-1].End = m.End // split by a change of protection
			continue
		}
		out = append(out, Area{m.Name, m.Start, m.End, m.Name == codeName})
	}
	return out
}

// isArea tells the kernel's names for areas of the vDSO.
func isArea(m Mapping) bool {
	return !m.File && (strings.HasPrefix(m.Name, "[vdso") || strings.HasPrefix(m.Name, "[vvar")) && strings.HasSuffix(m.Name, "]")
}

// notOurs are names in brackets that have nothing to do with the vDSO.
var notOurs = []string{"[heap]", "[stack]", "[vsyscall]", "[uprobes]", "[vectors]", "[sigpage]", "[gate]"}

// special tells a mapping of the kernel's from a program's: [anon:x] has a name
// that the program chose.
func special(m Mapping) bool {
	return !m.File && strings.HasPrefix(m.Name, "[") && strings.HasSuffix(m.Name, "]") &&
		!strings.Contains(m.Name, ":") && !slices.Contains(notOurs, m.Name)
}

// Code is the code area; ok is false without one. Two, which a kernel never
// makes, are an error.
func Code(areas []Area) (code Area, ok bool, err error) {
	for _, a := range areas {
		if !a.Code {
			continue
		}
		if ok {
			return Area{}, false, fmt.Errorf("vdso: two areas of code, at %x and %x", code.Start, a.Start)
		}
		code, ok = a, true
	}
	return code, ok, nil
}

// CheckAreas checks areas that come from an image.
func CheckAreas(areas []Area) error {
	const most, page = 16, 4096
	if len(areas) > most {
		return fmt.Errorf("vdso: %d areas; %d are a lot", len(areas), most)
	}
	for i, a := range areas {
		switch {
		case a.Start >= a.End || a.Start%page != 0 || a.End%page != 0 || a.End >= 1<<63:
			return fmt.Errorf("vdso: area %s at %x-%x is malformed", a.Name, a.Start, a.End)
		case i > 0 && areas[i-1].End > a.Start:
			return fmt.Errorf("vdso: area %s at %x-%x overlaps the one before it, or is out of order", a.Name, a.Start, a.End)
		case a.Code != (a.Name == codeName):
			return fmt.Errorf("vdso: area %s is said to be code, or not to be", a.Name)
		}
	}
	_, _, err := Code(areas)
	return err
}

// SameLayout tells whether two lists of areas are the same, but for where the
// first begins.
func SameLayout(a, b []Area) bool { return layoutDiffers(a, b) == "" }

// layoutDiffers says how two lists of areas differ, in anything but where they
// begin; empty: in nothing.
func layoutDiffers(image, runtime []Area) string {
	for i := range max(len(image), len(runtime)) {
		switch {
		case i >= len(image):
			return fmt.Sprintf("this kernel has %s besides", runtime[i].Name)
		case i >= len(runtime):
			return fmt.Sprintf("the image has %s besides", image[i].Name)
		}
		a, b := image[i], runtime[i]
		switch {
		case a.Name != b.Name:
			return fmt.Sprintf("%s stands where this kernel has %s", a.Name, b.Name)
		case a.Size() != b.Size():
			return fmt.Sprintf("%s has %d bytes in the image and %d here", a.Name, a.Size(), b.Size())
		case a.Start-image[0].Start != b.Start-runtime[0].Start:
			return fmt.Sprintf("%s lies elsewhere among the areas", a.Name)
		}
	}
	return ""
}
