// Package buildid reads the GNU build-id of ELF files: the identity of a
// program or library, whatever its path and times are.
package buildid

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"io"
)

// Bounds on what a file may claim to have. Real notes have some 100 bytes.
const (
	maxProgs  = 512
	maxNote   = 64 << 10 // bytes of a segment
	maxID     = 64       // bytes; 20 is usual
	firstRead = 4096     // bytes; the headers, and mostly the note too
)

// Read finds the build-id of an ELF file. A file that is none, or has none, or
// is damaged, has nil.
func Read(r io.ReaderAt) []byte {
	b := make([]byte, firstRead)
	n, err := r.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return nil
	}
	f := file{r: r, start: b[:n]}
	parts, _ := f.notes()
	for _, p := range parts {
		if id := Note(f.at(p.off, p.size), f.order); id != nil {
			return id
		}
	}
	return nil
}

// Note finds the build-id among the notes of a PT_NOTE segment or a SHT_NOTE
// section; nil when it isn't there.
func Note(b []byte, order binary.ByteOrder) []byte {
	const head, typeBuildID, pad = 12, 3, 3
	for len(b) >= head {
		name, desc := uint64(order.Uint32(b)), uint64(order.Uint32(b[4:]))
		at := head + (name+pad)&^pad
		if at+desc > uint64(len(b)) {
			return nil
		}
		if order.Uint32(b[8:]) == typeBuildID && string(b[head:head+name]) == "GNU\x00" && desc > 0 && desc <= maxID {
			return bytes.Clone(b[at : at+desc])
		}
		b = b[min(at+(desc+pad)&^pad, uint64(len(b))):]
	}
	return nil
}

// layout is where the fields of a class of ELF files are: offsets in the file's
// header and in a program header, bytes.
type layout struct {
	header, phoff, phentsize, phnum int
	entry, offset, filesz           int
	word                            func(binary.ByteOrder, []byte) uint64
}

// layouts are of <elf.h>: Elf32_Ehdr, Elf32_Phdr, Elf64_Ehdr, Elf64_Phdr.
var layouts = map[elf.Class]layout{
	elf.ELFCLASS32: {52, 28, 42, 44, 32, 4, 16, func(o binary.ByteOrder, b []byte) uint64 { return uint64(o.Uint32(b)) }},
	elf.ELFCLASS64: {64, 32, 54, 56, 56, 8, 32, func(o binary.ByteOrder, b []byte) uint64 { return o.Uint64(b) }},
}

// orders are the byte orders.
var orders = map[elf.Data]binary.ByteOrder{elf.ELFDATA2LSB: binary.LittleEndian, elf.ELFDATA2MSB: binary.BigEndian}

// file is an ELF file of either class and byte order.
type file struct {
	r     io.ReaderAt
	start []byte // its first bytes
	order binary.ByteOrder
}

// part is a piece of a file, bytes.
type part struct{ off, size uint64 }

// at reads a piece; nil when it isn't all there or is too large.
func (f *file) at(off, size uint64) []byte {
	if size > maxNote || off > 1<<62 {
		return nil
	}
	if off+size <= uint64(len(f.start)) {
		return f.start[off : off+size]
	}
	b := make([]byte, size)
	if n, _ := f.r.ReadAt(b, int64(off)); uint64(n) != size {
		return nil
	}
	return b
}

// notes lists the PT_NOTE segments; not ok: it is no ELF file.
func (f *file) notes() (list []part, ok bool) {
	b := f.start
	if len(b) < elf.EI_NIDENT || string(b[:len(elf.ELFMAG)]) != elf.ELFMAG {
		return nil, false
	}
	l, ok := layouts[elf.Class(b[elf.EI_CLASS])]
	if f.order = orders[elf.Data(b[elf.EI_DATA])]; !ok || f.order == nil || len(b) < l.header {
		return nil, false
	}
	entry, count := int(f.order.Uint16(b[l.phentsize:])), int(f.order.Uint16(b[l.phnum:]))
	if entry < l.entry {
		return nil, false
	}
	table := f.at(l.word(f.order, b[l.phoff:]), uint64(entry*min(count, maxProgs)))
	for ; len(table) >= entry; table = table[entry:] {
		if f.order.Uint32(table) == uint32(elf.PT_NOTE) {
			list = append(list, part{l.word(f.order, table[l.offset:]), l.word(f.order, table[l.filesz:])})
		}
	}
	return list, true
}
