// Package crc32c is the checksum of a stream: CRC-32C (Castagnoli), RFC 3720
// appendix B.4.
//
// The standard library's code is three times as fast for what is long, after it
// has made its tables. That takes 127 µs, in which the processor's instruction
// alone, eight bytes at a time, sums more than a small image has. So it gets what
// is long, once there has been much of that.
package crc32c

import (
	"hash/crc32"
	"sync"
	"sync/atomic"
)

const (
	long = 16 << 10 // bytes that are worth a call
	much = 2 << 20  // bytes of such from which on the tables pay
)

// sum is how many bytes have come in long pieces.
var sum atomic.Int64

// pays tells whether the tables are to be used for n bytes.
func pays(n int) bool { return n >= long && sum.Add(int64(n)) > much }

var table = sync.OnceValue(func() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) })

// Checksum is the checksum of b.
func Checksum(b []byte) uint32 { return Update(0, b) }

// Update is the checksum of what crc is one of, with b behind it.
func Update(crc uint32, b []byte) uint32 {
	if hasInstruction() && !pays(len(b)) {
		return ^updateShort(^crc, b)
	}
	return crc32.Update(crc, table(), b)
}
