package vdso

import (
	"bytes"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// Process is a process as it is looked at: its mappings in order of address,
// and its memory.
type Process struct {
	Mappings []Mapping
	Memory   io.ReaderAt
}

// FindProxy tells whether a process's vDSO is a proxy. Its areas are those that
// FindAreas found, here is the kernel's own. The mark alone is not believed:
// the areas must be where it says, their code must be this kernel's, and the
// proxy must be what floe would make of the image in the mark, to the byte.
// Nil without a proxy; then doubt says what is wrong with a mark that is there.
func FindProxy(p Process, areas []Area, here VDSO) (proxy *Proxied, doubt string, err error) {
	if len(areas) == 0 || here.Image == nil {
		return nil, "", nil
	}
	header := make([]byte, markHeader)
	at := end(areas)
	if !p.private(Span{at, at + pageSize}, unix.PROT_READ) {
		return nil, "", nil
	}
	if _, err := p.Memory.ReadAt(header, int64(at)); err != nil {
		return nil, "", fmt.Errorf("vdso: %x: %w", at, err)
	}
	size := markSize(header)
	if size == 0 {
		return nil, "", nil
	}
	if !p.private(Span{at, at + size}, unix.PROT_READ) {
		return nil, "it is cut short", nil
	}
	b := make([]byte, size)
	if _, err := p.Memory.ReadAt(b, int64(at)); err != nil {
		return nil, "", fmt.Errorf("vdso: %x: %w", at, err)
	}
	m, err := decodeMark(b)
	if err != nil {
		return nil, err.Error(), nil
	}
	proxy, doubt = p.believe(m, at, areas, here)
	if doubt != "" || err != nil {
		return nil, doubt, err
	}
	err = p.droppable(proxy, m.droppable)
	return proxy, "", err
}

// believe makes the proxy that a mark tells of, and compares it with what is
// there.
func (p Process) believe(m *mark, at uint64, areas []Area, here VDSO) (*Proxied, string) {
	switch {
	case m.at != at:
		return nil, fmt.Sprintf("it says that it is at %x", m.at)
	case !sameAreas(m.runtime, areas):
		return nil, "this kernel's areas are not where it says"
	case !SameLayout(areas, here.Areas):
		return nil, "the areas are not this kernel's"
	case m.random.Runtime != RandomState(here):
		return nil, "it is of another kernel"
	}
	code, err := ReadCode(p.Memory, areas)
	if err != nil {
		return nil, err.Error()
	}
	im, err := Parse(code)
	if err != nil || !bytes.Equal(im.Pristine(), here.Image.Pristine()) {
		return nil, "the kernel's code is not as this kernel made it"
	}
	proxy, err := NewProxy(m.image, here, areas[0].Start, m.random, m.droppable, m.kernel)
	if err != nil {
		return nil, err.Error()
	}
	for _, r := range proxy.Regions {
		if !p.private(r.Span, r.Prot) {
			return nil, fmt.Sprintf("%s, at %x-%x, is not mapped as floe did", r.Name, r.Start, r.End)
		}
		if r.Bytes == nil {
			continue
		}
		b := make([]byte, r.End-r.Start)
		if _, err := p.Memory.ReadAt(b, int64(r.Start)); err != nil {
			return nil, err.Error()
		}
		if !bytes.Equal(b, r.Bytes) {
			return nil, fmt.Sprintf("%s, at %x-%x, holds something else", r.Name, r.Start, r.End)
		}
	}
	return proxy, ""
}

// private tells whether all of a range is private memory of no file with a
// protection.
func (p Process) private(s Span, prot uint32) bool {
	for _, m := range p.Mappings {
		if m.End <= s.Start {
			continue
		}
		if m.Start > s.Start || m.File || m.Shared || special(m) || m.Prot != prot {
			return false
		}
		if s.Start = m.End; s.Start >= s.End {
			return true
		}
	}
	return false
}

// droppable keeps those of the mark's droppable mappings that are still there
// and empty: where they have ordinary memory in their place, nobody uses them.
// What a process has put in that place since is its own, and kept.
func (p Process) droppable(proxy *Proxied, spans []Span) error {
	proxy.Droppable = nil
	b := make([]byte, pageSize)
	for _, s := range spans {
		for _, m := range p.Mappings {
			part := Span{max(s.Start, m.Start), min(s.End, m.End)}
			if part.Start >= part.End || m.File || m.Shared || !m.Wiped {
				continue
			}
			empty := true
			for at := part.Start; at < part.End && empty; at += pageSize {
				if _, err := p.Memory.ReadAt(b, int64(at)); err != nil {
					return fmt.Errorf("vdso: %x: %w", at, err)
				}
				empty = len(bytes.Trim(b, "\x00")) == 0
			}
			if empty {
				proxy.Droppable = append(proxy.Droppable, part)
			}
		}
	}
	return nil
}

func sameAreas(a, b []Area) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
