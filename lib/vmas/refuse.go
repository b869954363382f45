package vmas

import (
	"fmt"

	"floe/lib/mem"
	"floe/lib/procfs"
)

// refuseFlags tells why a mapping can't be restored, by its VmFlags.
func refuseFlags(m *procfs.Mapping) error {
	for _, name := range m.VmFlags {
		switch f := mem.Lookup(name); {
		case f == nil:
			return fmt.Errorf("unknown smaps flag %q in a mapping%s: this kernel is newer than floe, and what it says would be lost", name, of(m.Name))
		case f.How == mem.Refused:
			return fmt.Errorf("%s", f.Means)
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
	for _, name := range m.VmFlags {
		if f := mem.Lookup(name); f != nil && f.How == mem.OfDevices {
			name = m.Name
			if o != nil {
				name = o.path
			}
			return fmt.Errorf("memory of a device%s can't be saved", named(name))
		}
	}
	return nil
}

// of names what a mapping is of, if it has a name.
func of(name string) string {
	if name == "" {
		return ""
	}
	return " of " + name
}

// named puts a name in parentheses, if there is one.
func named(name string) string {
	if name == "" {
		return ""
	}
	return " (" + name + ")"
}
