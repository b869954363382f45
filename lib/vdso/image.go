package vdso

import (
	"bytes"
	"debug/elf"
	"fmt"
	"sort"
)

// Image is a parsed vDSO.
type Image struct {
	Symbols      []Symbol // in order of offset, then name
	BuildID      []byte
	LinuxVersion uint32 // LINUX_VERSION_CODE, 0 without
	End          int    // of what its headers name, bytes
}

// Symbol is an exported function.
type Symbol struct {
	Name, Version string
	Offset, Size  uint64 // bytes from the start of the code area
	Weak          bool
	Type          uint8 // STT_*
}

// maxSymbols bounds a symbol table.
const maxSymbols = 1024

// Parse parses a code area's bytes, which may come from anywhere.
func Parse(b []byte) (*Image, error) {
	if len(b) > maxCode {
		return nil, fmt.Errorf("vdso: %d bytes", len(b))
	}
	f, err := elf.NewFile(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("vdso: %w", err)
	}
	im := &Image{}
	syms, err := f.DynamicSymbols()
	if err != nil {
		return nil, fmt.Errorf("vdso: %w", err)
	}
	if len(syms) > maxSymbols {
		return nil, fmt.Errorf("vdso: %d symbols", len(syms))
	}
	for _, s := range syms {
		if s.Section == elf.SHN_ABS || s.Section == elf.SHN_UNDEF {
			continue
		}
		if s.Value >= uint64(len(b)) || s.Size > uint64(len(b))-s.Value {
			return nil, fmt.Errorf("vdso: symbol %s at %#x of %d bytes lies outside of the %d bytes of the image", s.Name, s.Value, s.Size, len(b))
		}
		im.Symbols = append(im.Symbols, Symbol{s.Name, s.Version, s.Value, s.Size, elf.ST_BIND(s.Info) == elf.STB_WEAK, s.Info & 0xf})
	}
	sort.Slice(im.Symbols, func(i, j int) bool {
		a, b := im.Symbols[i], im.Symbols[j]
		return a.Offset < b.Offset || a.Offset == b.Offset && a.Name < b.Name
	})
	im.notes(f)
	im.end(f, len(b))
	return im, nil
}

// notes reads the build-id and the kernel's version.
func (im *Image) notes(f *elf.File) {
	const head, gnuBuildID = 12, 3
	for _, p := range f.Progs {
		if p.Type != elf.PT_NOTE || p.Filesz > maxCode {
			continue
		}
		b := make([]byte, p.Filesz)
		if _, err := p.ReadAt(b, 0); err != nil {
			continue
		}
		for len(b) >= head {
			namesz, descsz, kind := uint64(f.ByteOrder.Uint32(b)), uint64(f.ByteOrder.Uint32(b[4:])), f.ByteOrder.Uint32(b[8:])
			at := head + (namesz+3)&^3
			next := at + (descsz+3)&^3
			if namesz > maxCode || descsz > maxCode || at+descsz > uint64(len(b)) {
				break
			}
			name, desc := string(bytes.TrimRight(b[head:head+namesz], "\x00")), b[at:at+descsz]
			switch {
			case name == "GNU" && kind == gnuBuildID:
				im.BuildID = bytes.Clone(desc)
			case name == "Linux" && kind == 0 && len(desc) == 4:
				im.LinuxVersion = f.ByteOrder.Uint32(desc)
			}
			if next > uint64(len(b)) {
				break
			}
			b = b[next:]
		}
	}
}

// end works out where the image ends in its area.
func (im *Image) end(f *elf.File, size int) {
	end := uint64(64)
	for _, p := range f.Progs {
		end = max(end, p.Off+p.Filesz)
	}
	for _, s := range f.Sections {
		if s.Type != elf.SHT_NOBITS {
			end = max(end, s.Offset+s.FileSize)
		}
	}
	const sectionHeader = 64
	end += uint64(len(f.Sections)) * sectionHeader // the table follows them
	im.End = int(min(end, uint64(size)))
}

// Pristine is a code area's bytes without what lies behind the image.
func (im *Image) Pristine(b []byte) []byte {
	out := bytes.Clone(b)
	clear(out[min((im.End+15)&^15, len(out)):])
	return out
}
