// Package cpu knows processors as far as a process depends on them: their
// instructions, and the layout of the registers beyond the general ones.
package cpu

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"floe/lib/procfs"
	"floe/lib/record"
)

// Lacks lists the features of another processor that programs may use and that
// this one lacks.
func Lacks(other, here *record.Cpu) []string {
	var missing []string
	for _, f := range other.Flags {
		if instruction(f) && !slices.Contains(here.Flags, f) {
			missing = append(missing, f)
		}
	}
	return missing
}

// info reads the first processor's vendor and flags.
func info() (vendor string, flags []string, err error) {
	f, err := procfs.Open("/proc/cpuinfo", unix.O_RDONLY)
	if err != nil {
		return "", nil, err
	}
	defer f.Close()
	b := make([]byte, 8<<10) // the first processor's part is smaller
	n, err := f.Read(b)
	if err != nil {
		return "", nil, err
	}
	for line := range strings.Lines(string(b[:n])) {
		name, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(name) {
		case "vendor_id":
			vendor = strings.TrimSpace(value)
		case "flags":
			return vendor, strings.Fields(value), nil
		}
	}
	return "", nil, fmt.Errorf("/proc/cpuinfo: no flags in it")
}
