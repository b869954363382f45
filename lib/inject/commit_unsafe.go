package inject

import "unsafe"

// commitWord is the first word of the commit page, which is mapped shared and
// page aligned.
func commitWord(page []byte) *uint32 { return (*uint32)(unsafe.Pointer(&page[0])) }
