package vdso

import (
	"fmt"
	"io"
	"os"
	"strings"

	"floe/lib/procfs"
	"floe/lib/record"
)

// ReadAreas finds a process's vDSO areas in its maps or smaps.
func ReadAreas(maps io.Reader) ([]Area, error) {
	list, err := procfs.ParseMappings(maps)
	if err != nil {
		return nil, err
	}
	var ms []Mapping
	for _, m := range list {
		if strings.HasPrefix(m.Name, "[") {
			ms = append(ms, Mapping{m.Start, m.End, m.Name, m.Inode != 0})
		}
	}
	return FindAreas(ms), nil
}

// FromVmas finds the areas among an address space's mappings. A mapping of the
// kernel's that is none of them is an error: nobody could bring it back.
func FromVmas(vmas []*record.Vma) ([]Area, error) {
	var ms []Mapping
	for _, v := range vmas {
		if v.Kind == record.Vma_SPECIAL {
			ms = append(ms, Mapping{v.Start, v.End, v.Name, false})
		}
	}
	areas := FindAreas(ms)
	for _, v := range vmas {
		if v.Kind == record.Vma_SPECIAL && !within(v, areas) {
			return nil, fmt.Errorf("a mapping of the kernel's own, %s at %x-%x, is no part of the vDSO; it can't be saved", v.Name, v.Start, v.End)
		}
	}
	return areas, nil
}

func within(v *record.Vma, areas []Area) bool {
	for _, a := range areas {
		if v.Start >= a.Start && v.End <= a.End {
			return true
		}
	}
	return false
}

// Read reads a process's areas and the bytes of its vDSO, nil without one. pid
// is as /proc has it: "self", too.
func Read(pid string) ([]Area, []byte, error) {
	f, err := os.Open("/proc/" + pid + "/maps")
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	areas, err := ReadAreas(f)
	if err != nil {
		return nil, nil, err
	}
	b, err := ReadCode("/proc/"+pid+"/mem", areas)
	return areas, b, err
}

// Own reads this process's areas, and the bytes of its vDSO: those of the
// kernel that we run on.
func Own() ([]Area, []byte, error) { return Read("self") }

// ReadCode reads the code area through a process's mem file; nil without one.
func ReadCode(mem string, areas []Area) ([]byte, error) {
	code, ok, err := Code(areas)
	if err != nil || !ok {
		return nil, err
	}
	if code.Size() > maxCode {
		return nil, fmt.Errorf("vdso: it has %d bytes; %d are a lot", code.Size(), maxCode)
	}
	f, err := os.Open(mem)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, code.Size())
	if _, err := f.ReadAt(b, int64(code.Start)); err != nil {
		return nil, fmt.Errorf("vdso: %w", err)
	}
	return b, nil
}
