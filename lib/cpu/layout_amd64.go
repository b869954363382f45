package cpu

import (
	"floe/lib/kabi"
	"floe/lib/record"
)

// Here describes this machine's processor as far as a process's state depends
// on it. The layout of the xsave area is that of CPUID leaf 0xd.
func Here() (*record.Cpu, error) {
	vendor, flags, err := info()
	if err != nil {
		return nil, err
	}
	const (
		features, osxsave = 1, 1 << 27
		leaf              = 0xd
	)
	c := &record.Cpu{Vendor: vendor, Flags: flags}
	if _, _, ecx, _ := kabi.CPUID(features, 0); ecx&osxsave == 0 {
		return c, nil
	}
	c.Xcr0 = kabi.XGETBV(0)
	_, c.XsaveSize, _, _ = kabi.CPUID(leaf, 0) // for what XCR0 has enabled
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
