// Package vdso knows the virtual shared object that the kernel maps into every
// process: its areas, its symbols, and whether one kernel's can stand for
// another's.
package vdso

import (
	"io"
	"os"
	"strings"

	"floe/lib/procfs"
	"floe/lib/record"
)

// Area is one mapping of the vDSO: the code, or data of the kernel's.
type Area struct {
	Name       string
	Start, End uint64
	Code       bool
}

// codeName is the name of the code area.
const codeName = "[vdso]"

// ReadAreas finds a process's vDSO areas in its maps, in order of address.
func ReadAreas(maps io.Reader) ([]Area, error) {
	list, err := procfs.ParseMappings(maps)
	if err != nil {
		return nil, err
	}
	var out []Area
	for _, m := range list {
		if IsArea(m.Name) && m.Inode == 0 {
			out = append(out, Area{m.Name, m.Start, m.End, m.Name == codeName})
		}
	}
	return out, nil
}

// IsArea tells the kernel's names for areas of the vDSO from others: whatever
// begins with [vdso or [vvar, so that what the next kernel adds is found too.
func IsArea(name string) bool {
	return strings.HasPrefix(name, "[vdso") || strings.HasPrefix(name, "[vvar")
}

// FromVmas finds the areas among an address space's mappings.
func FromVmas(vmas []*record.Vma) []Area {
	var out []Area
	for _, v := range vmas {
		if v.Kind == record.Vma_SPECIAL {
			out = append(out, Area{v.Name, v.Start, v.End, v.Name == codeName})
		}
	}
	return out
}

// Own reads this process's areas, and the bytes of its vDSO: nil without one.
func Own() ([]Area, []byte, error) {
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	areas, err := ReadAreas(f)
	if err != nil {
		return nil, nil, err
	}
	b, err := ReadCode("/proc/self/mem", areas)
	return areas, b, err
}

// maxCode bounds a code area, bytes.
const maxCode = 256 << 10

// ReadCode reads the code area through a process's mem file.
func ReadCode(mem string, areas []Area) ([]byte, error) {
	for _, a := range areas {
		if !a.Code || a.End-a.Start > maxCode {
			continue
		}
		f, err := os.Open(mem)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		b := make([]byte, a.End-a.Start)
		if _, err := f.ReadAt(b, int64(a.Start)); err != nil {
			return nil, err
		}
		return b, nil
	}
	return nil, nil
}
