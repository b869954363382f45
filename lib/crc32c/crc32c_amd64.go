package crc32c

import (
	"sync"

	"floe/lib/kabi"
)

// hasInstruction tells whether the processor has CRC32 (SSE 4.2: leaf 1, ECX bit 20).
var hasInstruction = sync.OnceValue(func() bool {
	_, _, ecx, _ := kabi.CPUID(1, 0)
	return ecx>>20&1 == 1
})

// updateShort goes on with a checksum that is not inverted.
//
//go:noescape
func updateShort(crc uint32, b []byte) uint32
