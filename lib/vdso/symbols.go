package vdso

import (
	"cmp"
	"fmt"
	"slices"
)

// Symbol is something that the vDSO exports.
type Symbol struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"` // "LINUX_2.6"
	Offset  uint64 `json:"offset"`            // bytes from the start of the code area
	Size    uint64 `json:"size"`              // bytes
	Weak    bool   `json:"weak,omitempty"`
	Type    uint8  `json:"type"` // STT_*
}

// Symbol types and sections, of elf(5).
const (
	STTNoType = 0
	STTObject = 1
	STTFunc   = 2

	stbGlobal = 1
	stbWeak   = 2
	shnUndef  = 0
	shnAbs    = 0xfff1
)

// Callable tells whether a symbol is code: in some vDSOs what is written in
// assembly has no type.
func (s Symbol) Callable() bool { return s.Type == STTFunc || s.Type == STTNoType }

// maxSymbols bounds a symbol table; real ones have about 20.
const maxSymbols = 256

func (im *Image) symbols(b bytesOf, d dynamic) error {
	n, err := d.symbolCount(b)
	if err != nil {
		return err
	}
	table, err := b.slice(d[dtSymTab], n*symSize, "symbol table")
	if err != nil {
		return err
	}
	versions, err := d.versions(b)
	if err != nil {
		return err
	}
	for i := range n {
		s, err := im.symbol(b, d, table[i*symSize:])
		if err != nil {
			return err
		}
		if s == nil {
			continue
		}
		if s.Version, err = d.versionOf(b, versions, i); err != nil {
			return fmt.Errorf("symbol %s: %w", s.Name, err)
		}
		im.Symbols = append(im.Symbols, *s)
	}
	slices.SortFunc(im.Symbols, func(a, b Symbol) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Name, b.Name))
	})
	return im.checkSymbols()
}

// symbol decodes one entry; nil for those that are no place in the image: the
// first, undefined ones, and the absolute ones that stand for versions.
func (im *Image) symbol(b bytesOf, d dynamic, e []byte) (*Symbol, error) {
	name, info, section := uint64(le.Uint32(e)), e[4], le.Uint16(e[6:])
	bind := info >> 4
	if section == shnUndef || section == shnAbs || bind != stbGlobal && bind != stbWeak {
		return nil, nil
	}
	if name >= d[dtStrSz] {
		return nil, fmt.Errorf("a symbol's name at %#x lies outside of the string table of %d bytes", name, d[dtStrSz])
	}
	text, err := b[:d[dtStrTab]+d[dtStrSz]].text(d[dtStrTab]+name, "symbol's name")
	if err != nil {
		return nil, err
	}
	if text == "" || !printable(text) {
		return nil, fmt.Errorf("a symbol's name is %q", text)
	}
	s := &Symbol{Name: text, Offset: le.Uint64(e[8:]) - im.bias, Size: le.Uint64(e[16:]), Weak: bind == stbWeak, Type: info & 0xf}
	if s.Offset >= uint64(len(b)) || s.Size > uint64(len(b))-s.Offset {
		return nil, fmt.Errorf("symbol %s (%d bytes at %#x) lies outside of its %d bytes", s.Name, s.Size, s.Offset, len(b))
	}
	if s.Type == STTFunc && !im.executable(s.Offset, s.Size) {
		return nil, fmt.Errorf("function %s at %#x lies outside of its code", s.Name, s.Offset)
	}
	return s, nil
}

func printable(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}

func (im *Image) executable(off, size uint64) bool {
	return slices.ContainsFunc(im.exec, func(x [2]uint64) bool { return off >= x[0] && off < x[1] && size <= x[1]-off })
}

// checkSymbols refuses two of one name, and code that two functions share in
// part: aliases share all of it.
func (im *Image) checkSymbols() error {
	names := map[string]bool{}
	var last *Symbol
	for i := range im.Symbols {
		s := &im.Symbols[i]
		key := s.Name + "@" + s.Version
		if names[key] {
			return fmt.Errorf("it has two symbols %s", key)
		}
		names[key] = true
		if s.Type != STTFunc {
			continue
		}
		switch {
		case last == nil:
		case s.Offset == last.Offset && s.Size != last.Size:
			return fmt.Errorf("functions %s and %s begin at %#x both and have %d and %d bytes", last.Name, s.Name, s.Offset, last.Size, s.Size)
		case s.Offset != last.Offset && s.Offset-last.Offset < last.Size:
			return fmt.Errorf("functions %s (%d bytes at %#x) and %s (at %#x) overlap", last.Name, last.Size, last.Offset, s.Name, s.Offset)
		}
		last = s
	}
	return nil
}
