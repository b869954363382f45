package vmas

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"floe/lib/procfs"
	"floe/lib/record"
)

// refusals are VmFlags that can't be restored yet, and why.
var refusals = []struct{ flag, what string }{
	{"ht", "huge pages of hugetlbfs can't be saved yet; run it without them"},
	{"um", "memory registered with userfaultfd can't be saved yet"},
	{"uw", "memory write-protected by userfaultfd can't be saved yet"},
	{"ui", "memory registered with userfaultfd can't be saved yet"},
	{"ss", "a shadow stack can't be saved yet; run it with glibc.cpu.x86_shstk=off"},
	{"sl", "a sealed mapping can't be saved yet"},
	{"sf", "a synchronous mapping (MAP_SYNC) can't be saved yet"},
	{"io", "memory of a device can't be saved"},
	{"pf", "memory of a device can't be saved"},
	{"gu", "a guest's memory can't be saved yet"},
}

// known are the VmFlags that floe restores, or that need nothing.
const known = " rd wr ex sh mr mw me ms gd lo sr rr dc de ac nr ar dd sd mm hg nh mg dp wf nl dw bt mt "

// refuse tells why a mapping can't be restored.
func refuse(m *procfs.Mapping, v *record.Vma) error {
	if v.Kind == record.Vma_SPECIAL || v.Kind == record.Vma_VSYSCALL {
		if v.Kind == record.Vma_SPECIAL && !kernelArea(m.Name) {
			return fmt.Errorf("a mapping of the kernel's own kind %s can't be saved yet", m.Name)
		}
		return nil
	}
	for _, f := range m.VmFlags {
		for _, r := range refusals {
			if f == r.flag {
				return fmt.Errorf("%s (%s)", r.what, m.Name)
			}
		}
		if !strings.Contains(known, " "+f+" ") {
			return fmt.Errorf("it has the flag %q, which this version does not know (%s)", f, m.Name)
		}
	}
	if m.PKey != 0 {
		return fmt.Errorf("memory with protection key %d can't be saved yet", m.PKey)
	}
	return nil
}

// kernelArea tells a vDSO area from what must not be dropped in silence.
func kernelArea(name string) bool {
	switch name {
	case "[uprobes]", "[sigpage]", "[vectors]":
		return false
	}
	return !strings.HasPrefix(name, "[aio") && !strings.Contains(name, ":")
}

// refuseFile tells why a mapped file can't be mapped again.
func refuseFile(f *record.File) error {
	path := string(f.Path)
	switch {
	case strings.HasPrefix(path, "/memfd:"):
		return fmt.Errorf("a mapped memfd (%s) can't be saved yet", path)
	case strings.HasPrefix(path, "/SYSV"):
		return fmt.Errorf("shared memory of System V (%s) can't be saved yet", path)
	case strings.HasPrefix(path, "/[aio]") || strings.HasPrefix(path, "anon_inode:"):
		return fmt.Errorf("a mapping of %s can't be saved yet", path)
	case f.Deleted:
		return fmt.Errorf("the mapped file %s has been deleted; it can't be saved yet", path)
	case f.Mode&unix.S_IFMT != unix.S_IFREG:
		return fmt.Errorf("a mapping of the device %s can't be saved yet", path)
	}
	return nil
}
