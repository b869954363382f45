package vdso

import (
	"bytes"
	"fmt"
	"slices"

	"floe/lib/record"
)

// VDSO is a vDSO where it stands. Image is nil when there is no code.
type VDSO struct {
	Areas []Area
	Image *Image
}

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
	Kept       int    // functions that it lacks, and that need nothing of the kernel's
	Why        string // it is Impossible, or not InPlace
	Functions  []Function
}

// Function is one place of code in the image, with all of its names.
type Function struct {
	Symbols []Symbol // the image's
	Runtime *Symbol  // this kernel's function of one of these names; nil without
	Action  Action
	Call    string // BySyscall: its name
}

// Action is what restore does with a function.
type Action int

// Actions.
const (
	Leave     Action = iota // in place: it is this kernel's
	Redirect                // its entry jumps to this kernel's
	BySyscall               // its entry jumps to code that makes the system call
	Keep                    // it stays: it is code that needs nothing of the kernel's
	Unknown                 // nobody knows what to do
)

func (v Verdict) String() string {
	switch v.Kind {
	case InPlace:
		return "in place"
	case Proxy:
		s := fmt.Sprintf("proxy: %d redirected, %d by syscall", v.Redirected, v.ByCall)
		if v.Kept > 0 {
			s += fmt.Sprintf(", %d kept", v.Kept)
		}
		return s
	}
	return "impossible: " + v.Why
}

// Compare tells what it takes to bring the image's vDSO back where runtime is
// the kernel's own.
func Compare(image, runtime VDSO) Verdict {
	switch im, rt := image.Image, runtime.Image; {
	case len(image.Areas) == 0:
		return Verdict{Kind: InPlace}
	case im == nil:
		return Verdict{Kind: Impossible, Why: fmt.Sprintf("the image has %s without the code that it belongs to", image.Areas[0].Name)}
	case rt == nil:
		return Verdict{Kind: Impossible, Why: "this kernel gives no vDSO"}
	case im.Machine != rt.Machine:
		return Verdict{Kind: Impossible, Why: fmt.Sprintf("the image's is for ELF machine %d, this kernel's for %d", im.Machine, rt.Machine)}
	}
	why := differs(image, runtime)
	v := Verdict{Kind: Proxy, Why: why, Functions: functions(image.Image, runtime.Image)}
	if why == "" {
		v.Kind = InPlace
	}
	for i := range v.Functions {
		v.decide(image.Image, &v.Functions[i])
	}
	return v
}

// differs says why an image's vDSO is not this kernel's; empty when it is. The
// bytes don't count: a kernel fits them to its processor when it boots.
func differs(image, runtime VDSO) string {
	sameBuild := len(image.Image.BuildID) > 0 && bytes.Equal(image.Image.BuildID, runtime.Image.BuildID)
	if why := layoutDiffers(image.Areas, runtime.Areas); why != "" {
		return why
	}
	if !sameSymbols(image.Image.Symbols, runtime.Image.Symbols) {
		if sameBuild {
			return "the build-ids are the same and the symbols are not"
		}
		return "the symbols differ"
	}
	if len(image.Image.Symbols) == 0 && !sameBuild {
		return "neither has symbols"
	}
	return ""
}

func sameSymbols(a, b []Symbol) bool { return slices.Equal(a, b) }

// functions groups the image's code by its place.
func functions(im, rt *Image) []Function {
	var out []Function
	for _, s := range im.Symbols {
		if !s.Callable() || !im.executable(s.Offset, s.Size) {
			continue
		}
		if n := len(out); n > 0 && out[n-1].Symbols[0].Offset == s.Offset {
			out[n-1].Symbols = append(out[n-1].Symbols, s)
		} else {
			out = append(out, Function{Symbols: []Symbol{s}})
		}
	}
	for i := range out {
		for _, s := range out[i].Symbols {
			if r := rt.lookup(s.Name, s.Version); r != nil && out[i].Runtime == nil && r.Callable() && rt.executable(r.Offset, r.Size) {
				out[i].Runtime = r
			}
		}
	}
	return out
}

// decide fills in what becomes of one function.
func (v *Verdict) decide(im *Image, f *Function) {
	call, known := f.call()
	switch {
	case v.Kind == InPlace:
		f.Action = Leave
	case f.Runtime != nil:
		f.Action = Redirect
		v.Redirected++
	case known:
		f.Action, f.Call = BySyscall, call
		v.ByCall++
	case plain(im, f.Symbols[0]):
		f.Action = Keep
		v.Kept++
	default:
		f.Action = Unknown
		if v.Kind != Impossible {
			v.Kind, v.Why = Impossible, fmt.Sprintf("this kernel has no %s, and floe knows no system call for it", f.Symbols[0].Name)
		}
	}
}

// CompareHere compares a record with this kernel's vDSO. An error means that
// the record's is none.
func CompareHere(v *record.Vdso) (Verdict, error) {
	image, err := FromRecord(v)
	if err != nil {
		return Verdict{}, err
	}
	runtime, err := Here()
	if err != nil {
		return Verdict{}, err
	}
	return Compare(image, runtime), nil
}

// Here is the vDSO of the kernel that we run on.
func Here() (VDSO, error) {
	areas, code, err := Own()
	if err != nil || code == nil {
		return VDSO{Areas: areas}, err
	}
	im, err := Parse(code)
	return VDSO{Areas: areas, Image: im}, err
}
