package stub

import (
	"bytes"
	"unsafe"
)

//go:noescape
func textBounds(which int) (start, end unsafe.Pointer)

// Which stub textBounds looks up.
const (
	textTable = iota
	textGate
	textCall
	textFlags
)

// text is a copy of a stub's instructions.
func text(which int) []byte {
	start, end := textBounds(which)
	return bytes.Clone(unsafe.Slice((*byte)(start), uintptr(end)-uintptr(start)))
}
