package inject

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"

	"floe/lib/stub"
)

// The commit page has, besides the word that the gates wait for, a note of the
// arena that it belongs to: a restore that is killed once its tree runs may
// leave the arena in it, and whoever comes next must know it.
const (
	commitName = "floe-commit"
	noteAt     = 64 // bytes from the page's start: magic, Base, End
	noteMagic  = "floe\x00ar\n"
	noteBytes  = 24
)

// commitPage is the commit page as it begins.
func (a *Arena) commitPage() []byte {
	b := make([]byte, stub.PageSize)
	n := append(b[:noteAt], noteMagic...)
	n = binary.LittleEndian.AppendUint64(n, a.Base)
	binary.LittleEndian.AppendUint64(n, a.End())
	return b
}

// IsCommitPage tells whether a mapping's name is a commit page's.
func IsCommitPage(name string) bool { return strings.HasPrefix(name, "/memfd:"+commitName) }

// Leftover finds the arena that a commit page at an address in a process's
// memory belongs to; ok is false when it belongs to none.
func Leftover(mem io.ReaderAt, commit uint64) (base, end uint64, ok bool) {
	var note [noteBytes]byte
	if _, err := mem.ReadAt(note[:], int64(commit+noteAt)); err != nil || string(note[:8]) != noteMagic {
		return 0, 0, false
	}
	base, end = binary.LittleEndian.Uint64(note[8:]), binary.LittleEndian.Uint64(note[16:])
	a := &Arena{Base: base, code: stub.NewCode()}
	if a.commit() != commit || end <= commit || end%stub.PageSize != 0 {
		return 0, 0, false
	}
	code := make([]byte, len(a.code.Bytes))
	_, err := mem.ReadAt(code, int64(base))
	return base, end, err == nil && bytes.Equal(code, a.code.Bytes)
}
