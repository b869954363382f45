package record

import (
	"errors"

	"floe/lib/crc32c"
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
	MaxRecord  = 4 << 20 // a record, encoded
	MaxDecoded = 8 << 20 // a record, decoded
	MaxPayload = 4 << 20
)

// Errors that callers tell apart.
var (
	ErrNotFloe  = errors.New("not a floe stream")
	ErrCorrupt  = errors.New("the stream is damaged")
	ErrTooLarge = errors.New("a length is out of bounds")
	ErrUnknown  = errors.New("this version of floe does not know it; use a newer one")
)

// Checksum is the CRC-32C of b.
func Checksum(b []byte) uint32 { return crc32c.Checksum(b) }

// tally counts frames and sums their bytes.
type tally struct {
	records, bytes uint64 // bytes with payloads
	crc            uint32 // without them
}

func (t *tally) add(frame []byte, payload uint64) {
	t.records++
	t.bytes += uint64(len(frame)) + payload
	t.crc = crc32c.Update(t.crc, frame)
}
