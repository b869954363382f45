package pages

import (
	"bytes"
	"encoding/binary"
)

// zeroPage is what pages are compared with; read only.
var zeroPage [PageSize]byte

// isZero tells whether a page of PageSize bytes is all zeros. Most pages that
// are not show it in a word at the start, in the middle or at the end, so these are
// looked at before the whole page is.
func isZero(page []byte) bool {
	page = page[:PageSize]
	if binary.LittleEndian.Uint64(page)|
		binary.LittleEndian.Uint64(page[PageSize/2:])|
		binary.LittleEndian.Uint64(page[PageSize-8:]) != 0 {
		return false
	}
	return bytes.Equal(page, zeroPage[:])
}

// splitZero sorts the pages of runs, whose bytes stand in buf one after
// another, into those that have contents and those that are zero, appending to
// data and zero. The bytes of the former are moved together at the start of
// buf; their number is returned.
func splitZero(buf []byte, runs, data, zero []Run) (n int, dataRuns, zeroRuns []Run) {
	off, from := 0, 0 // from: start of contents not yet moved
	move := func() {
		if from != n {
			copy(buf[n:], buf[from:off])
		}
		n += off - from
	}
	for _, r := range runs {
		for i := uint64(0); i < r.Pages; {
			first := i
			if isZero(buf[off : off+PageSize]) {
				move()
				for i < r.Pages && isZero(buf[off:off+PageSize]) {
					i, off = i+1, off+PageSize
				}
				from = off
				zero = appendRun(zero, Run{r.Addr + first*PageSize, i - first})
				continue
			}
			for i < r.Pages && !isZero(buf[off:off+PageSize]) {
				i, off = i+1, off+PageSize
			}
			data = appendRun(data, Run{r.Addr + first*PageSize, i - first})
		}
	}
	move()
	return n, data, zero
}
