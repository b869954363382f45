package vmas

import (
	"fmt"

	"floe/lib/procfs"
)

// known are the VmFlags that floe restores, or that need nothing: those that
// prot, kind and name tell already, and what the kernel keeps for itself.
var known = map[string]bool{
	"rd": true, "wr": true, "ex": true, "sh": true, // protection, shared
	"mr": true, "mw": true, "me": true, "ms": true, // what mprotect may give
	"gd": true,             // grows down
	"lo": true, "lf": true, // mlock, mlock on fault
	"sr": true, "rr": true, // madvise: sequential, random
	"dc": true, "dd": true, "wf": true, // not in forks, not in core dumps, empty in forks
	"hg": true, "nh": true, "mg": true, // huge pages or none, merged
	"dp": true, // droppable
	"dw": true, // nobody may write to the file: a program, before Linux 5.15
	"nr": true, // no swap space is set aside for it
	"ac": true, // it is accounted
	"gu": true, // guard regions may be in it; pagedump finds them
	"sd": true, // soft-dirty
	"de": true, // can't grow by mremap: the kernel's, and drivers'
	"mm": true, // struct pages or not: with DAX
}

// refusals are VmFlags that can't be restored yet, and what to do.
var refusals = map[string]string{
	"ht": "a hugetlbfs mapping can't be saved yet; run it without huge pages",
	"um": "memory registered with userfaultfd can't be saved yet; wait until what uses that has ended (post-copy migration, a garbage collection)",
	"uw": "memory write-protected with userfaultfd can't be saved yet; wait until what uses that has ended (a snapshot)",
	"ui": "memory registered with userfaultfd for minor faults can't be saved yet; wait until what uses that has ended",
	"ss": "a shadow stack can't be saved yet; run it with GLIBC_TUNABLES=glibc.cpu.x86_shstk=off",
	"sl": "a sealed mapping (mseal) can't be saved yet; run it without sealing",
	"sf": "a synchronous mapping of persistent memory (MAP_SYNC) can't be saved yet; run it without",
}

// deviceFlags stand for memory that is no memory: restore can't fill it.
var deviceFlags = map[string]bool{"io": true, "pf": true, "ar": true}

// refuseFlags tells why a mapping can't be restored, by its VmFlags.
func refuseFlags(m *procfs.Mapping) error {
	for _, f := range m.VmFlags {
		switch {
		case refusals[f] != "":
			return fmt.Errorf("%s", refusals[f])
		case f == "??":
			return fmt.Errorf("it has a VmFlag that this kernel has no name for (locked on fault, before Linux 6.2), so it can't be saved")
		case !known[f] && !deviceFlags[f]:
			return fmt.Errorf("it has the VmFlag %q, which this version does not know%s", f, named(m.Name))
		}
	}
	if m.PKey != 0 && m.Exec && !m.Read && !m.Write {
		return fmt.Errorf("memory that may only be executed can't be saved yet on a machine with protection keys; give it PROT_READ too")
	}
	if m.PKey != 0 {
		return fmt.Errorf("memory with a protection key (%d) can't be saved yet; run it without them", m.PKey)
	}
	return nil
}

// refuseDevice refuses memory of a device that goes by no device file's name.
func refuseDevice(m *procfs.Mapping, o *object) error {
	for _, f := range m.VmFlags {
		if deviceFlags[f] {
			name := m.Name
			if o != nil {
				name = o.path
			}
			return fmt.Errorf("memory of a device%s can't be saved", named(name))
		}
	}
	return nil
}

// named puts a name in parentheses, if there is one.
func named(name string) string {
	if name == "" {
		return ""
	}
	return " (" + name + ")"
}
