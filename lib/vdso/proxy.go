package vdso

import (
	"fmt"

	"golang.org/x/sys/unix"
)

const pageSize = 4096

// Region is a mapping of floe's own in a process with a proxy: private, of no
// file.
type Region struct {
	Span
	Prot  uint32 // PROT_*, in the end
	Bytes []byte // what is in it; nil: it is never read
	Name  string
}

// Proxied is a proxy where it stands:
//
//	regions  the image's code area, redirected; the image's data areas, which
//	         nothing reads any more, kept free for the next move
//	runtime  the kernel's areas, anywhere
//	mark     right behind them
type Proxied struct {
	Image     VDSO
	Random    Random
	Runtime   VDSO
	Regions   []Region
	Droppable []Span // ordinary mappings that stand for droppable ones
	Kernel    string // release of the kernel that the proxy was made on
}

// NewProxy makes the proxy of an image's vDSO with the kernel's areas at an
// address.
func NewProxy(image, here VDSO, at uint64, random Random, droppable []Span, kernel string) (*Proxied, error) {
	p := &Proxied{Image: image, Random: random, Runtime: shifted(here, at), Droppable: droppable, Kernel: kernel}
	code, err := Patch(image, p.Runtime, random)
	if err != nil {
		return nil, err
	}
	for _, a := range image.Areas {
		r := Region{Span: Span{a.Start, a.End}, Prot: unix.PROT_NONE, Name: "floe " + areaName(a)}
		if a.Code {
			r.Prot, r.Bytes = unix.PROT_READ|unix.PROT_EXEC, code
		}
		p.Regions = append(p.Regions, r)
	}
	m := mark{at: end(p.Runtime.Areas), image: image, random: random, runtime: p.Runtime.Areas, droppable: droppable, kernel: kernel}
	b, err := m.encode()
	if err != nil {
		return nil, err
	}
	p.Regions = append(p.Regions, Region{Span: Span{m.at, m.at + uint64(len(b))}, Prot: unix.PROT_READ, Bytes: b, Name: "floe mark"})
	return p, nil
}

// RuntimeSize is the room that a proxy needs besides the image's areas, bytes,
// wherever it is: for the kernel's areas and the mark.
func RuntimeSize(image, here VDSO, droppable []Span) (uint64, error) {
	// Addresses take the more bytes in a mark the higher they are.
	const highest = 1 << 62
	m := mark{at: highest, image: image, random: Random{1 << 31, 1 << 31}, runtime: shifted(here, highest).Areas, droppable: droppable, kernel: fmt.Sprintf("%64s", "")}
	b, err := m.encode()
	if err != nil || len(here.Areas) == 0 {
		return 0, err
	}
	return end(here.Areas) - here.Areas[0].Start + uint64(len(b)), nil
}

// Floe is all that is not the process's own: the regions and the kernel's areas.
func (p *Proxied) Floe() []Span {
	var out []Span
	for _, r := range p.Regions {
		out = append(out, r.Span)
	}
	for _, a := range p.Runtime.Areas {
		out = append(out, Span{a.Start, a.End})
	}
	return out
}

// end is where the last area ends.
func end(areas []Area) uint64 { return areas[len(areas)-1].End }

// areaName is an area's name without its brackets.
func areaName(a Area) string {
	if n := len(a.Name); n > 2 {
		return a.Name[1 : n-1]
	}
	return a.Name
}

// shifted is a vDSO with its first area at an address.
func shifted(v VDSO, at uint64) VDSO {
	out := VDSO{Image: v.Image}
	for _, a := range v.Areas {
		by := at - v.Areas[0].Start
		out.Areas = append(out.Areas, Area{a.Name, a.Start + by, a.End + by, a.Code})
	}
	return out
}
