package vdso

import (
	"fmt"
	"io"
	"slices"

	"golang.org/x/sys/unix"

	"floe/lib/mem"
	"floe/lib/procfs"
	"floe/lib/record"
)

// ReadAreas finds a process's vDSO areas in its maps or smaps.
func ReadAreas(maps io.Reader) ([]Area, error) {
	ms, err := readMappings(maps)
	return FindAreas(ms), err
}

func readMappings(maps io.Reader) ([]Mapping, error) {
	list, err := procfs.ParseMappings(maps)
	if err != nil {
		return nil, err
	}
	ms := make([]Mapping, 0, len(list))
	for _, m := range list {
		v := Mapping{Start: m.Start, End: m.End, Name: m.Name, File: m.HasFile(), Shared: m.Shared, Wiped: slices.Contains(m.VmFlags, mem.Wiped)}
		for bit, on := range map[uint32]bool{unix.PROT_READ: m.Read, unix.PROT_WRITE: m.Write, unix.PROT_EXEC: m.Exec} {
			if on {
				v.Prot |= bit
			}
		}
		ms = append(ms, v)
	}
	return ms, nil
}

// FromVmas is an address space's mappings, with its areas. A mapping of the
// kernel's that is none of them is an error: nobody could bring it back.
func FromVmas(vmas []*record.Vma) ([]Mapping, []Area, error) {
	ms := make([]Mapping, 0, len(vmas))
	for _, v := range vmas {
		m := Mapping{Start: v.Start, End: v.End, Name: v.Name, Prot: v.Prot, Wiped: slices.Contains(v.Flags, mem.Wiped)}
		switch v.Kind {
		case record.Vma_SPECIAL, record.Vma_ANON_PRIVATE:
		case record.Vma_ANON_SHARED:
			m.Shared = true
		default:
			m.File = true
		}
		if v.Kind != record.Vma_SPECIAL && special(m) {
			m.Name = "" // the heap's, the stack's
		}
		ms = append(ms, m)
	}
	areas := FindAreas(ms)
	for _, v := range vmas {
		if v.Kind == record.Vma_SPECIAL && !within(v, areas) {
			return nil, nil, fmt.Errorf("a mapping of the kernel's own, %s at %x-%x, is no part of the vDSO; it can't be saved", v.Name, v.Start, v.End)
		}
	}
	return ms, areas, nil
}

func within(v *record.Vma, areas []Area) bool {
	for _, a := range areas {
		if v.Start >= a.Start && v.End <= a.End {
			return true
		}
	}
	return false
}

// OpenProcess looks at a process. pid is as /proc has it: "self", too.
func OpenProcess(pid string) (p Process, areas []Area, done func(), err error) {
	f, err := procfs.Open("/proc/"+pid+"/maps", unix.O_RDONLY)
	if err != nil {
		return p, nil, nil, err
	}
	defer f.Close()
	if p.Mappings, err = readMappings(f); err != nil {
		return p, nil, nil, err
	}
	mem, err := procfs.Open("/proc/"+pid+"/mem", unix.O_RDONLY)
	if err != nil {
		return p, nil, nil, err
	}
	p.Memory = mem
	return p, FindAreas(p.Mappings), func() { mem.Close() }, nil
}

// Read reads a process's areas and the bytes of its vDSO, nil without one. pid
// is as /proc has it: "self", too.
func Read(pid string) ([]Area, []byte, error) {
	p, areas, done, err := OpenProcess(pid)
	if err != nil {
		return nil, nil, err
	}
	defer done()
	b, err := ReadCode(p.Memory, areas)
	return areas, b, err
}

// Own reads this process's areas, and the bytes of its vDSO: those of the
// kernel that we run on.
func Own() ([]Area, []byte, error) { return Read("self") }

// ReadCode reads the code area from a process's memory; nil without one.
func ReadCode(mem io.ReaderAt, areas []Area) ([]byte, error) {
	code, ok, err := Code(areas)
	if err != nil || !ok {
		return nil, err
	}
	if code.Size() > maxCode {
		return nil, fmt.Errorf("vdso: it has %d bytes; %d are a lot", code.Size(), maxCode)
	}
	b := make([]byte, code.Size())
	if _, err := mem.ReadAt(b, int64(code.Start)); err != nil {
		return nil, fmt.Errorf("vdso: %w", err)
	}
	return b, nil
}
