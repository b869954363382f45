package vdso

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Of elf(5). The class is 64 bits, the byte order little-endian, always.
const (
	ehdrSize = 64
	phdrSize = 56
	shdrSize = 64

	etDyn = 3

	ptLoad    = 1
	ptDynamic = 2
	ptNote    = 4

	pfX = 1

	shtNoBits = 8

	maxProgs    = 32
	maxSections = 256
)

// Machine numbers of ELF, e_machine.
const (
	MachineX86_64  = 62
	MachineAArch64 = 183
	MachineRISCV   = 243
)

// bytesOf is an ELF image: reads that tell when they'd go past its end.
type bytesOf []byte

func (b bytesOf) slice(off, n uint64, what string) ([]byte, error) {
	if off > uint64(len(b)) || n > uint64(len(b))-off {
		return nil, fmt.Errorf("its %s (%d bytes at %#x) lies outside of its %d bytes", what, n, off, len(b))
	}
	return b[off : off+n], nil
}

// text is the zero-terminated string at off.
func (b bytesOf) text(off uint64, what string) (string, error) {
	const most = 256
	if off >= uint64(len(b)) {
		return "", fmt.Errorf("its %s at %#x lies outside of its %d bytes", what, off, len(b))
	}
	s := b[off:min(off+most, uint64(len(b)))]
	n := bytes.IndexByte(s, 0)
	if n < 0 {
		return "", fmt.Errorf("its %s at %#x has no end", what, off)
	}
	return string(s[:n]), nil
}

var le = binary.LittleEndian

// prog is a program header.
type prog struct {
	kind, flags               uint32
	off, vaddr, filesz, memsz uint64
}

// header reads what the ELF header and the program headers say.
func (im *Image) header(b bytesOf) ([]prog, error) {
	h, err := b.slice(0, ehdrSize, "ELF header")
	if err != nil {
		return nil, err
	}
	switch {
	case !bytes.HasPrefix(h, []byte("\x7fELF")):
		return nil, fmt.Errorf("it is no ELF image")
	case h[4] != 2:
		return nil, fmt.Errorf("it is a 32-bit ELF image; floe knows 64-bit ones")
	case h[5] != 1:
		return nil, fmt.Errorf("it is a big-endian ELF image; floe knows little-endian ones")
	case h[6] != 1 || le.Uint16(h[16:]) != etDyn:
		return nil, fmt.Errorf("it is no ELF shared object")
	}
	im.Machine = le.Uint16(h[18:])
	phoff, phentsize, phnum := le.Uint64(h[32:]), le.Uint16(h[54:]), le.Uint16(h[56:])
	if phnum == 0 || phnum > maxProgs || phentsize != phdrSize {
		return nil, fmt.Errorf("it has %d program headers of %d bytes", phnum, phentsize)
	}
	table, err := b.slice(phoff, uint64(phnum)*phdrSize, "program header table")
	if err != nil {
		return nil, err
	}
	im.End = max(ehdrSize, int(phoff)+len(table))
	var progs []prog
	for p := table; len(p) > 0; p = p[phdrSize:] {
		g := prog{le.Uint32(p), le.Uint32(p[4:]), le.Uint64(p[8:]), le.Uint64(p[16:]), le.Uint64(p[32:]), le.Uint64(p[40:])}
		if _, err := b.slice(g.off, g.filesz, "program segment"); err != nil {
			return nil, err
		}
		im.End = max(im.End, int(g.off+g.filesz))
		progs = append(progs, g)
	}
	return progs, im.sections(b, h)
}

// sections extends End by the section header table and what it names. The
// sections themselves are of no use to a process, and to us.
func (im *Image) sections(b bytesOf, h []byte) error {
	shoff, shentsize, shnum := le.Uint64(h[40:]), le.Uint16(h[58:]), le.Uint16(h[60:])
	if shoff == 0 || shnum == 0 {
		return nil
	}
	if shnum > maxSections || shentsize != shdrSize {
		return fmt.Errorf("it has %d section headers of %d bytes", shnum, shentsize)
	}
	table, err := b.slice(shoff, uint64(shnum)*shdrSize, "section header table")
	if err != nil {
		return err
	}
	im.End = max(im.End, int(shoff)+len(table))
	for s := table; len(s) > 0; s = s[shdrSize:] {
		kind, off, size := le.Uint32(s[4:]), le.Uint64(s[24:]), le.Uint64(s[32:])
		if kind == shtNoBits || kind == 0 {
			continue
		}
		if _, err := b.slice(off, size, "section"); err != nil {
			return err
		}
		im.End = max(im.End, int(off+size))
	}
	return nil
}

// load works out how far apart addresses and offsets are, and where code is.
// A vDSO has one PT_LOAD segment; the kernel maps the file as it is, so that
// several are fine as long as they agree.
func (im *Image) load(progs []prog, size int) error {
	found := false
	for _, p := range progs {
		if p.kind != ptLoad {
			continue
		}
		bias := p.vaddr - p.off
		if found && bias != im.bias {
			return fmt.Errorf("its segments don't lie in memory as in the file")
		}
		if p.memsz > uint64(size)-p.off {
			return fmt.Errorf("its segment of %d bytes at %#x lies outside of its %d bytes", p.memsz, p.off, size)
		}
		found, im.bias = true, bias
		if p.flags&pfX != 0 {
			im.exec = append(im.exec, [2]uint64{p.off, p.off + p.filesz})
		}
	}
	if !found || len(im.exec) == 0 {
		return fmt.Errorf("it has no segment of code")
	}
	return nil
}
