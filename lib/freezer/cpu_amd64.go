package freezer

import (
	"floe/lib/kabi"
	"floe/lib/record"
)

const arch = "amd64"

// cpu describes the processor as far as a process's state depends on it. The
// layout of the xsave area is that of CPUID leaf 0xd.
func cpu() (*record.Cpu, error) {
	vendor, flags, err := cpuinfo()
	if err != nil {
		return nil, err
	}
	const leaf = 0xd
	lo, size, _, hi := kabi.CPUID(leaf, 0)
	c := &record.Cpu{Vendor: vendor, Flags: flags, Xcr0: uint64(hi)<<32 | uint64(lo), XsaveSize: size}
	// The first two components are the legacy area's.
	for n := uint32(2); n < 63; n++ {
		if c.Xcr0>>n&1 == 0 {
			continue
		}
		size, offset, _, _ := kabi.CPUID(leaf, n)
		c.Xsave = append(c.Xsave, &record.XsaveComponent{Number: n, Offset: offset, Size: size})
	}
	return c, nil
}
