// Package crc32c is the checksum of a stream: CRC-32C (Castagnoli), RFC 3720
// appendix B.4.
//
// The standard library's code is the fastest for what is long, after it has made
// its tables, which takes longer than all that a small stream has to be summed.
// So it gets what is long, and what is short goes through the processor's
// instruction eight bytes at a time.
package crc32c

import (
	"hash/crc32"
	"sync"
)

// long is the bytes from which on the tables pay.
const long = 64 << 10

var table = sync.OnceValue(func() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) })

// Checksum is the checksum of b.
func Checksum(b []byte) uint32 { return Update(0, b) }

// Update is the checksum of what crc is one of, with b behind it.
func Update(crc uint32, b []byte) uint32 {
	if len(b) < long && hasInstruction() {
		return ^updateShort(^crc, b)
	}
	return crc32.Update(crc, table(), b)
}
