package vdso

import "fmt"

// versions reads the names of the version definitions (Elf64_Verdef), by index.
func (d dynamic) versions(b bytesOf) (map[uint16]string, error) {
	const (
		what       = "version definitions"
		verdefSize = 20
		verdauxSz  = 8
		flgBase    = 1
		most       = 16
	)
	at, ok := d[dtVerDef]
	if !ok {
		return nil, nil
	}
	names := map[uint16]string{}
	for range most {
		def, err := b.slice(at, verdefSize, what)
		if err != nil {
			return nil, err
		}
		flags, index, count := le.Uint16(def[2:]), le.Uint16(def[4:]), le.Uint16(def[6:])
		aux, next := uint64(le.Uint32(def[12:])), uint64(le.Uint32(def[16:]))
		if flags&flgBase == 0 && count > 0 {
			a, err := b.slice(at+aux, verdauxSz, what)
			if err != nil {
				return nil, err
			}
			name := uint64(le.Uint32(a))
			if name >= d[dtStrSz] {
				return nil, fmt.Errorf("a version's name at %#x lies outside of the string table of %d bytes", name, d[dtStrSz])
			}
			text, err := b[:d[dtStrTab]+d[dtStrSz]].text(d[dtStrTab]+name, "version's name")
			if err != nil {
				return nil, err
			}
			if !printable(text) {
				return nil, fmt.Errorf("a version's name is %q", text)
			}
			names[index] = text
		}
		if next == 0 {
			return names, nil
		}
		at += next
	}
	return nil, fmt.Errorf("its version definitions have no end")
}

// versionOf is the version of symbol i: "" where it has none.
func (d dynamic) versionOf(b bytesOf, names map[uint16]string, i uint64) (string, error) {
	const hidden, firstNamed = 0x8000, 2
	at, ok := d[dtVerSym]
	if !ok {
		return "", nil
	}
	v, err := b.slice(at+2*i, 2, "symbol versions")
	if err != nil {
		return "", err
	}
	index := le.Uint16(v) &^ hidden
	name, ok := names[index]
	if !ok && index >= firstNamed {
		return "", fmt.Errorf("version %d is not defined", index)
	}
	return name, nil
}
