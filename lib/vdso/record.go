package vdso

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"floe/lib/record"
)

// Record makes the record of one address space's vDSO; code is its code area's
// bytes, nil when it has none. An address space without the vDSO, or without
// some areas of it, is recorded as it is.
func Record(mmID uint64, areas []Area, code []byte) (*record.Vdso, error) {
	v := &record.Vdso{MmId: mmID}
	for _, a := range areas {
		v.Areas = append(v.Areas, &record.Vdso_Area{Name: a.Name, Start: a.Start, End: a.End, Code: a.Code})
	}
	if code == nil {
		return v, nil
	}
	im, err := Parse(code)
	if err != nil {
		return nil, err
	}
	v.BuildId, v.LinuxVersion, v.Image = im.BuildID, im.LinuxVersion, im.Pristine()
	for _, s := range im.Symbols {
		v.Symbols = append(v.Symbols, &record.Vdso_Symbol{Name: s.Name, Version: s.Version, Offset: s.Offset, Size: s.Size, Weak: s.Weak, Type: uint32(s.Type)})
	}
	return v, nil
}

// Record makes the record of an address space with a proxy: the image's vDSO,
// as if the process still had it.
func (p *Proxied) Record(mmID uint64) (*record.Vdso, error) {
	v, err := Record(mmID, p.Image.Areas, p.Image.Image.code)
	if err != nil {
		return nil, err
	}
	v.Proxied, v.RandomState = true, p.Random.Image
	v.Floe, v.Droppable = recordSpans(p.Floe()), recordSpans(p.Droppable)
	return v, nil
}

// recordSpans are ranges in order, those that touch as one.
func recordSpans(list []Span) []*record.Vdso_Span {
	list = slices.SortedFunc(slices.Values(list), func(a, b Span) int { return cmp.Compare(a.Start, b.Start) })
	var out []*record.Vdso_Span
	for _, s := range list {
		if n := len(out); n > 0 && out[n-1].End == s.Start {
			out[n-1].End = s.End
			continue
		}
		out = append(out, &record.Vdso_Span{Start: s.Start, End: s.End})
	}
	return out
}

// FromRecord is what a record says, checked: an image is not to be trusted. What
// the record tells twice, by itself and in the vDSO's bytes, must agree.
func FromRecord(v *record.Vdso) (VDSO, error) { return Parsed{}.FromRecord(v) }

// Parsed is what has been parsed already, for records that have their bytes and
// symbols in common (package image sees to that).
type Parsed map[parts]*Image

// parts are where the bytes and the symbols of a record begin.
type parts struct {
	bytes   *byte
	symbols **record.Vdso_Symbol
}

// FromRecord is the function of that name.
func (p Parsed) FromRecord(v *record.Vdso) (VDSO, error) {
	out := VDSO{Areas: recordAreas(v)}
	if err := CheckAreas(out.Areas); err != nil {
		return VDSO{}, err
	}
	code, ok, err := Code(out.Areas)
	if err != nil {
		return VDSO{}, err
	}
	if !ok {
		if len(v.Image) > 0 || len(v.Symbols) > 0 {
			return VDSO{}, fmt.Errorf("vdso: the record has its bytes and no area for them")
		}
		return out, nil
	}
	if uint64(len(v.Image)) != code.Size() {
		return VDSO{}, fmt.Errorf("vdso: the record has %d bytes of an area of %d", len(v.Image), code.Size())
	}
	if len(v.Symbols) == 0 {
		out.Image, err = parseRecord(v)
		return out, err
	}
	key := parts{&v.Image[0], &v.Symbols[0]}
	if out.Image = p[key]; out.Image != nil && len(out.Image.Symbols) == len(v.Symbols) && bytes.Equal(v.BuildId, out.Image.BuildID) {
		return out, nil
	}
	if out.Image, err = parseRecord(v); err != nil {
		return VDSO{}, err
	}
	p[key] = out.Image
	return out, nil
}

// parseRecord parses a record's bytes and compares them with what else it says.
func parseRecord(v *record.Vdso) (*Image, error) {
	im, err := Parse(v.Image)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(v.BuildId, im.BuildID) || v.LinuxVersion != im.LinuxVersion {
		return nil, fmt.Errorf("vdso: the record's build-id or version is not the one in its bytes")
	}
	if !sameSymbols(recordSymbols(v), im.Symbols) {
		return nil, fmt.Errorf("vdso: the record's symbols are not those in its bytes")
	}
	return im, nil
}

func recordAreas(v *record.Vdso) []Area {
	var out []Area
	for _, a := range v.Areas {
		out = append(out, Area{a.Name, a.Start, a.End, a.Code})
	}
	return out
}

func recordSymbols(v *record.Vdso) []Symbol {
	var out []Symbol
	for _, s := range v.Symbols {
		out = append(out, Symbol{s.Name, s.Version, s.Offset, s.Size, s.Weak, uint8(s.Type)})
	}
	return out
}
