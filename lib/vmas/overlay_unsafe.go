package vmas

import "unsafe"

// addressOf is where a mapping of this process's is.
func addressOf(b []byte) uint64 { return uint64(uintptr(unsafe.Pointer(&b[0]))) }
