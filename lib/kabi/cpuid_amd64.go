package kabi

// CPUID runs the instruction of that name.
//
//go:noescape
func CPUID(leaf, subleaf uint32) (eax, ebx, ecx, edx uint32)
