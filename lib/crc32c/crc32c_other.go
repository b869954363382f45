//go:build !amd64

package crc32c

func hasInstruction() bool { return false }

func updateShort(uint32, []byte) uint32 { panic("crc32c: no instruction") }
