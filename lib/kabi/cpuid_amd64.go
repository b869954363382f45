package kabi

// CPUID runs the instruction of that name.
//
//go:noescape
func CPUID(leaf, subleaf uint32) (eax, ebx, ecx, edx uint32)

// XGETBV reads an extended control register; the processor must have OSXSAVE.
//
//go:noescape
func XGETBV(xcr uint32) uint64
