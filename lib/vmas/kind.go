package vmas

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"floe/lib/procfs"
	"floe/lib/record"
)

const vsyscall = "[vsyscall]"

// kind sorts a mapping into a kind and finds what is behind it, or tells why it
// can't be restored.
func (s *space) kind(m *procfs.Mapping, v *record.Vma) error {
	switch {
	case m.Name == vsyscall:
		v.Kind = record.Vma_VSYSCALL
		return nil
	case isSpecial(m):
		v.Kind = record.Vma_SPECIAL
		return refuseSpecial(m)
	}
	if err := refuseFlags(m); err != nil {
		return err
	}
	if !m.HasFile() {
		v.Kind = record.Vma_ANON_PRIVATE
		if m.Shared {
			return fmt.Errorf("a shared mapping of nothing that /proc shows (%s) can't be saved", m.Name)
		}
		return refuseDevice(m, nil)
	}
	o, err := s.mapped(m)
	if err != nil {
		return err
	}
	return s.backed(m, v, o)
}

// backed is kind for a mapping of an object.
func (s *space) backed(m *procfs.Mapping, v *record.Vma, o *object) error {
	switch own, err := s.isShmem(o); {
	case err != nil:
		return err
	case own && m.Shared:
		v.Kind, v.Offset = record.Vma_ANON_SHARED, m.Offset
		sh := s.number(m, o)
		v.ShmemId, v.ShmemSize = sh.id, sh.size
		return nil
	case own:
		return fmt.Errorf("a private mapping of shared memory can't be saved yet")
	case o.isZero() && !m.Shared:
		v.Kind = record.Vma_ANON_PRIVATE // the kernel forgets about the device
		return nil
	}
	if err := refuseObject(o); err != nil {
		return err
	}
	if err := refuseDevice(m, o); err != nil {
		return err
	}
	if o.fs == unix.OVERLAYFS_SUPER_MAGIC {
		if err := s.overlay(m, o); err != nil {
			return err
		}
	}
	v.Kind, v.Offset = record.Vma_FILE_PRIVATE, m.Offset
	if m.Shared {
		v.Kind = record.Vma_FILE_SHARED
	}
	var err error
	v.FileId, err = s.file(o)
	return err
}

// isSpecial tells a mapping of the kernel's own: its name is in brackets, and
// not one of those that a process's own memory goes by.
func isSpecial(m *procfs.Mapping) bool {
	switch {
	case m.HasFile(), !strings.HasPrefix(m.Name, "["), m.Name == "[heap]", m.Name == "[stack]":
		return false
	}
	return !strings.HasPrefix(m.Name, "[stack:") && !strings.HasPrefix(m.Name, "[anon:")
}

// isVDSO tells the kernel's names for areas of the vDSO.
func isVDSO(name string) bool {
	return strings.HasPrefix(name, "[vdso") || strings.HasPrefix(name, "[vvar")
}

// refuseSpecial tells why a mapping of the kernel's own can't be restored.
func refuseSpecial(m *procfs.Mapping) error {
	if m.Name == "[uprobes]" {
		return fmt.Errorf("it has uprobes; end what traces it (perf, bpftrace), and start it again to be rid of them")
	}
	return nil
}

// checkSpecial refuses mappings of the kernel's own that are neither an area of
// the vDSO nor, under a name that is new, next to one: restore would leave them
// out.
func checkSpecial(list []*record.Vma) error {
	for i, v := range list {
		if v.Kind == record.Vma_SPECIAL && !nearVDSO(list, i, -1) && !nearVDSO(list, i, 1) {
			return fmt.Errorf("%x-%x: %s, a mapping of the kernel's own, can't be saved yet", v.Start, v.End, v.Name)
		}
	}
	return nil
}

// nearVDSO tells whether a row of special mappings that touch leads from one to
// an area of the vDSO, downwards (step -1) or upwards (1).
func nearVDSO(list []*record.Vma, i, step int) bool {
	for !isVDSO(list[i].Name) {
		next := i + step
		if next < 0 || next >= len(list) || list[next].Kind != record.Vma_SPECIAL {
			return false
		}
		if list[max(i, next)].Start != list[min(i, next)].End {
			return false
		}
		i = next
	}
	return true
}
