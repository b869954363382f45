package record

import (
	"errors"
	"hash/crc32"

	"google.golang.org/protobuf/proto"
)

// Magic and version: the first eight bytes of a stream.
const (
	FormatMajor = 1
	FormatMinor = 0
	magicLen    = 8
)

var magic = [magicLen]byte{'F', 'L', 'O', 'E', 0, FormatMajor, FormatMinor, 0}

// Caps, bytes: a length above them is refused before memory is set aside.
const (
	MaxRecord  = 16 << 20
	MaxPayload = 16 << 20
)

// Errors that callers tell apart.
var (
	ErrNotFloe  = errors.New("not a floe stream")
	ErrCorrupt  = errors.New("the stream is damaged")
	ErrTooLarge = errors.New("a length is out of bounds")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum is the CRC-32C of b.
func Checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// Size is the bytes that a record takes in a stream, less its length prefix
// and payload.
func Size(rec *Record) int { return proto.Size(rec) }
