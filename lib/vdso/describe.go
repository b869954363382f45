package vdso

import (
	"bytes"
	"fmt"
)

// StateKind says what a process's vDSO is.
type StateKind int

// Kinds of state.
const (
	Native  StateKind = iota // this kernel's, whole
	Moved                    // this kernel's, whole, not where the kernel put it
	Partial                  // this kernel's; areas are missing, or lie apart
	None                     // it has none
	Foreign                  // not this kernel's
	Changed                  // this kernel's, and somebody wrote into it
	ByProxy                  // another kernel's, led to this one's: see FindProxy
)

func (k StateKind) String() string {
	return [...]string{"native", "moved", "not whole", "none", "not this kernel's", "changed", "proxied"}[k]
}

// State is what a process's vDSO is, and why.
type State struct {
	Kind StateKind
	Why  string
}

// Describe tells what a process's vDSO is on the kernel whose own is here.
func Describe(v, here VDSO) State {
	switch {
	case len(v.Areas) == 0:
		return State{Kind: None}
	case v.Image == nil:
		return State{Partial, fmt.Sprintf("it has %s and no %s", v.Areas[0].Name, codeName)}
	case here.Image == nil:
		return State{Foreign, "this kernel gives none"}
	case !bytes.Equal(v.Image.BuildID, here.Image.BuildID) || len(v.Image.code) != len(here.Image.code):
		return State{Foreign, fmt.Sprintf("build-id %x, this kernel's is %x", v.Image.BuildID, here.Image.BuildID)}
	}
	a, b := v.Image.Pristine(), here.Image.Pristine()
	for i := range a {
		if a[i] != b[i] {
			return State{Changed, fmt.Sprintf("it differs at %#x", i)}
		}
	}
	if why := layoutDiffers(v.Areas, here.Areas); why != "" {
		return State{Partial, why}
	}
	return State{Kind: Native}
}

// At adds that the kernel had put the code at start (AT_SYSINFO_EHDR).
func (s State) At(v VDSO, start uint64) State {
	code, ok, err := Code(v.Areas)
	if s.Kind != Native || !ok || err != nil || code.Start == start {
		return s
	}
	return State{Moved, fmt.Sprintf("the kernel had put it at %x", start)}
}
