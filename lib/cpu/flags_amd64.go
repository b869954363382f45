package cpu

import "strings"

// instruction tells whether a flag of /proc/cpuinfo names instructions
// that a program may use; most others are the kernel's business.
func instruction(f string) bool {
	for _, p := range []string{"sse", "ssse", "avx", "amx", "aes", "vaes", "sha", "bmi", "adx", "fma", "f16c", "movbe",
		"popcnt", "pclmul", "vpclmul", "rdrand", "rdseed", "rdpid", "gfni", "fsgsbase", "erms", "clflushopt", "clwb",
		"rtm", "hle", "lzcnt", "abm", "xsave", "movdir", "cx16", "lahf", "waitpkg", "serialize", "rdtscp"} {
		if strings.HasPrefix(f, p) {
			return true
		}
	}
	return false
}
