package vdso

import (
	"bytes"
	"fmt"
)

// notes reads the build-id and the kernel's version. Notes of other kinds are
// passed over.
func (im *Image) notes(b bytesOf, progs []prog) error {
	const (
		head       = 12
		gnuBuildID = 3 // NT_GNU_BUILD_ID
		version    = 0 // of owner "Linux": LINUX_VERSION_CODE
		maxBuildID = 64
	)
	for _, p := range progs {
		if p.kind != ptNote {
			continue
		}
		for rest := b[p.off : p.off+p.filesz]; len(rest) >= head; {
			namesz, descsz, kind := uint64(le.Uint32(rest)), uint64(le.Uint32(rest[4:])), le.Uint32(rest[8:])
			name, err := rest.slice(head, namesz, "note")
			if err != nil {
				return err
			}
			at := head + (namesz+3)&^3
			desc, err := rest.slice(at, descsz, "note")
			if err != nil {
				return err
			}
			switch owner := string(bytes.TrimRight(name, "\x00")); {
			case owner == "GNU" && kind == gnuBuildID && descsz > maxBuildID:
				return fmt.Errorf("its build-id has %d bytes", descsz)
			case owner == "GNU" && kind == gnuBuildID:
				im.BuildID = bytes.Clone(desc)
			case owner == "Linux" && kind == version && descsz == 4:
				im.LinuxVersion = le.Uint32(desc)
			}
			rest = rest[min(at+(descsz+3)&^3, uint64(len(rest))):]
		}
	}
	return nil
}
