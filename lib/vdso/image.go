package vdso

import (
	"bytes"
	"fmt"
)

// Image is a parsed vDSO.
type Image struct {
	Machine      uint16   // e_machine
	Symbols      []Symbol // in order of offset, then name; no two of a name and version
	BuildID      []byte   // GNU build-id, nil without
	LinuxVersion uint32   // LINUX_VERSION_CODE of its note, 0 without
	End          int      // of the ELF image in the area, bytes

	code []byte      // the area's bytes
	bias uint64      // of addresses in it over offsets
	exec [][2]uint64 // offsets of what is executable, end exclusive
}

// maxCode bounds a code area, bytes. Real ones have 8 KiB.
const maxCode = 256 << 10

// Parse parses a code area's bytes, which may come from anywhere. They must not
// change afterwards.
func Parse(b []byte) (*Image, error) {
	if len(b) > maxCode {
		return nil, fmt.Errorf("vdso: it has %d bytes; %d are a lot", len(b), maxCode)
	}
	im := &Image{code: b}
	if err := im.parse(b); err != nil {
		return nil, fmt.Errorf("vdso: %w", err)
	}
	return im, nil
}

func (im *Image) parse(b bytesOf) error {
	progs, err := im.header(b)
	if err != nil {
		return err
	}
	if err := im.load(progs, len(b)); err != nil {
		return err
	}
	d, err := im.dynamic(b, progs)
	if err != nil {
		return err
	}
	if err := im.symbols(b, d); err != nil {
		return err
	}
	return im.notes(b, progs)
}

// Lookup finds a symbol by its name, nil without.
func (im *Image) Lookup(name string) *Symbol {
	for i := range im.Symbols {
		if im.Symbols[i].Name == name {
			return &im.Symbols[i]
		}
	}
	return nil
}

func (im *Image) lookup(name, version string) *Symbol {
	for i := range im.Symbols {
		if im.Symbols[i].Name == name && im.Symbols[i].Version == version {
			return &im.Symbols[i]
		}
	}
	return nil
}

// tailAlign is the alignment of the tail, bytes.
const tailAlign = 16

// Tail is the part of the code area behind the ELF image: zeros that the kernel
// padded it with. Code that floe once put there may be left in it.
func (im *Image) Tail() (off, size int) {
	off = min((im.End+tailAlign-1)&^(tailAlign-1), len(im.code))
	return off, len(im.code) - off
}

// Pristine is the code area's bytes as the kernel made them: a copy, without
// what lies behind the ELF image.
func (im *Image) Pristine() []byte {
	b := bytes.Clone(im.code)
	off, _ := im.Tail()
	clear(b[off:])
	return b
}

// syscallInstructions are the instructions that make a system call, by machine.
var syscallInstructions = map[uint16][]byte{
	MachineX86_64:  {0x0f, 0x05},
	MachineAArch64: {0x01, 0x00, 0x00, 0xd4},
	MachineRISCV:   {0x73, 0x00, 0x00, 0x00},
}

// FindSyscall finds the offset of an instruction that makes a system call: in a
// function, or else anywhere in the code.
func (im *Image) FindSyscall() (off int, ok bool) {
	insn, ok := syscallInstructions[im.Machine]
	if !ok {
		return 0, false
	}
	find := func(from, to uint64) (int, bool) {
		i := bytes.Index(im.code[from:to], insn)
		return int(from) + i, i >= 0
	}
	for _, s := range im.Symbols {
		if s.Type == STTFunc {
			if at, ok := find(s.Offset, s.Offset+s.Size); ok {
				return at, true
			}
		}
	}
	for _, x := range im.exec {
		if at, ok := find(x[0], x[1]); ok {
			return at, true
		}
	}
	return 0, false
}
