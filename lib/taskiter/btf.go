package taskiter

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
)

// btf is the kernel's type information, Documentation/bpf/btf.rst.
type btf struct {
	types   []byte
	strings []byte
	at      []uint32 // of each type, by its id: offset in types
	found   map[string]uint32
}

// Kinds of struct btf_type, <linux/btf.h>.
const (
	kindInt      = 1
	kindArray    = 3
	kindStruct   = 4
	kindUnion    = 5
	kindEnum     = 6
	kindTypedef  = 8
	kindRestrict = 11
	kindFunc     = 12
	kindProto    = 13
	kindVar      = 14
	kindDatasec  = 15
	kindDeclTag  = 17
	kindEnum64   = 19

	btfMagic   = 0xeb9f
	btfHeader  = 24
	sizeType   = 12 // struct btf_type, less what follows it
	sizeMember = 12 // struct btf_member
)

// readBTF reads the type information of the running kernel.
func readBTF() (*btf, error) {
	b, err := os.ReadFile("/sys/kernel/btf/vmlinux")
	if err != nil {
		return nil, err
	}
	t, err := parseBTF(b)
	if err != nil {
		return nil, fmt.Errorf("/sys/kernel/btf/vmlinux: %w", err)
	}
	return t, nil
}

func parseBTF(b []byte) (*btf, error) {
	le := binary.LittleEndian
	if len(b) < btfHeader || le.Uint16(b) != btfMagic {
		return nil, fmt.Errorf("not BTF")
	}
	part := func(at int) ([]byte, error) {
		from := uint64(le.Uint32(b[4:])) + uint64(le.Uint32(b[at:]))
		to := from + uint64(le.Uint32(b[at+4:]))
		if to > uint64(len(b)) {
			return nil, fmt.Errorf("section of %d bytes ends at %d; the file has %d", to-from, to, len(b))
		}
		return b[from:to], nil
	}
	t := &btf{found: map[string]uint32{}}
	var err error
	if t.types, err = part(8); err != nil {
		return nil, err
	}
	if t.strings, err = part(16); err != nil {
		return nil, err
	}
	t.at = append(make([]uint32, 0, len(t.types)/20), 0) // 0 is void
	for at := 0; at < len(t.types); {
		if at+sizeType > len(t.types) {
			return nil, fmt.Errorf("type %d is cut short", len(t.at))
		}
		n, err := extra(le.Uint32(t.types[at+4:]))
		if err != nil {
			return nil, fmt.Errorf("type %d: %w", len(t.at), err)
		}
		t.at = append(t.at, uint32(at))
		if at += sizeType + n; at > len(t.types) {
			return nil, fmt.Errorf("type %d is cut short", len(t.at)-1)
		}
	}
	return t, nil
}

// extra is how many bytes follow a struct btf_type.
func extra(info uint32) (int, error) {
	n := int(info & 0xffff)
	switch kind := kindOf(info); kind {
	case kindInt, kindVar, kindDeclTag:
		return 4, nil
	case kindArray:
		return 12, nil
	case kindStruct, kindUnion, kindDatasec, kindEnum64:
		return sizeMember * n, nil
	case kindEnum, kindProto:
		return 8 * n, nil
	default:
		if kind > kindEnum64 {
			return 0, fmt.Errorf("unknown kind %d", kind)
		}
		return 0, nil
	}
}

func kindOf(info uint32) uint32 { return info >> 24 & 0x1f }

// head is a type's name, info, and size or type.
func (t *btf) head(id uint32) (name, info, size uint32, err error) {
	if id == 0 || id >= uint32(len(t.at)) {
		return 0, 0, 0, fmt.Errorf("BTF has no type %d", id)
	}
	b := t.types[t.at[id]:]
	le := binary.LittleEndian
	return le.Uint32(b), le.Uint32(b[4:]), le.Uint32(b[8:]), nil
}

// find is the id of the type of a kind that has a name.
func (t *btf) find(kind uint32, name string) (uint32, error) {
	if id := t.found[name]; id != 0 {
		return id, nil
	}
	want := append([]byte(name), 0)
	le := binary.LittleEndian
	for id, at := range t.at[1:] {
		if kindOf(le.Uint32(t.types[at+4:])) != kind {
			continue
		}
		if n := le.Uint32(t.types[at:]); n < uint32(len(t.strings)) && bytes.HasPrefix(t.strings[n:], want) {
			t.found[name] = uint32(id) + 1
			return uint32(id) + 1, nil
		}
	}
	return 0, fmt.Errorf("BTF has no type %s", name)
}

// offset is where a member of a struct is, bytes, and its size when it is a struct
// itself. The path leads through structs in structs.
func (t *btf) offset(name string, path ...string) (off, size uint32, err error) {
	id, err := t.find(kindStruct, name)
	for _, m := range path {
		var at uint32
		if err == nil {
			if at, id, err = t.member(id, m); err != nil {
				err = fmt.Errorf("struct %s: %w", name, err)
			}
		}
		off += at
	}
	if err != nil {
		return 0, 0, err
	}
	_, info, size, err := t.head(id)
	if kindOf(info) != kindStruct {
		size = 0
	}
	return off, size, err
}

// member is where a member of a struct or union is, and its type. Members without
// a name are looked into.
func (t *btf) member(id uint32, name string) (off, of uint32, err error) {
	_, info, _, err := t.head(id)
	if err != nil {
		return 0, 0, err
	}
	if k := kindOf(info); k != kindStruct && k != kindUnion {
		return 0, 0, fmt.Errorf("no member %s: it is of kind %d", name, k)
	}
	want := append([]byte(name), 0)
	le := binary.LittleEndian
	for i := range info & 0xffff {
		b := t.types[t.at[id]+sizeType+i*sizeMember:]
		n, at := le.Uint32(b), le.Uint32(b[8:])
		if info>>31 != 0 { // bit fields: their size is in the upper byte
			at &= 1<<24 - 1
		}
		of, err := t.plain(le.Uint32(b[4:]))
		if err != nil {
			return 0, 0, err
		}
		if n != 0 && n < uint32(len(t.strings)) && bytes.HasPrefix(t.strings[n:], want) {
			return at / 8, of, nil
		}
		if n != 0 && t.strings[n] != 0 || of == 0 {
			continue
		}
		if _, sub, _, _ := t.head(of); kindOf(sub) != kindStruct && kindOf(sub) != kindUnion {
			continue
		}
		if in, of, err := t.member(of, name); err == nil {
			return at/8 + in, of, nil
		}
	}
	return 0, 0, fmt.Errorf("no member %s", name)
}

// plain is a type without typedef, const, volatile and restrict.
func (t *btf) plain(id uint32) (uint32, error) {
	for range 16 {
		if id == 0 {
			return 0, nil // void
		}
		_, info, of, err := t.head(id)
		if k := kindOf(info); err != nil || k < kindTypedef || k > kindRestrict {
			return id, err
		}
		id = of
	}
	return 0, fmt.Errorf("BTF type %d is a typedef of itself", id)
}
