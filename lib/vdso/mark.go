package vdso

import (
	"bytes"
	"fmt"

	"floe/lib/crc32c"
	"floe/lib/record"
)

// A mark stands right behind the areas of the kernel's in a process whose vDSO
// is a proxy, in pages of its own that can only be read:
//
//	0   magic, 8 bytes
//	8   version of the mark and of what Patch makes, 32 bits
//	12  length of the message, bytes, 32 bits
//	16  CRC-32C of the message, 32 bits
//	20  zeros
//	32  record.VdsoMark
const (
	markMagic   = "floe\x00vm\n"
	markVersion = 1
	markHeader  = 32
	maxMark     = 1 << 20 // bytes of the message
)

// Span is a range of addresses; End is exclusive.
type Span struct{ Start, End uint64 }

// mark is what a mark says.
type mark struct {
	at        uint64
	image     VDSO
	random    Random
	runtime   []Area
	droppable []Span
	kernel    string // release of the kernel that the proxy was made on
}

// encode makes the mark's pages.
func (m *mark) encode() ([]byte, error) {
	image, err := Record(0, m.image.Areas, m.image.Image.code)
	if err != nil {
		return nil, err
	}
	image.Symbols, image.RandomState = nil, m.random.Image
	for _, d := range m.droppable {
		image.Droppable = append(image.Droppable, &record.Vdso_Span{Start: d.Start, End: d.End})
	}
	msg := &record.VdsoMark{Address: m.at, Image: image, RuntimeRandomState: m.random.Runtime, KernelRelease: m.kernel}
	for _, a := range m.runtime {
		msg.Runtime = append(msg.Runtime, &record.Vdso_Area{Name: a.Name, Start: a.Start, End: a.End, Code: a.Code})
	}
	body, err := record.Encode(msg)
	if err != nil {
		return nil, err
	}
	if len(body) > maxMark {
		return nil, fmt.Errorf("vdso: a mark of %d bytes; %d are a lot", len(body), maxMark)
	}
	b := make([]byte, (markHeader+len(body)+pageSize-1)&^(pageSize-1))
	copy(b, markMagic)
	le.PutUint32(b[8:], markVersion)
	le.PutUint32(b[12:], uint32(len(body)))
	le.PutUint32(b[16:], crc32c.Checksum(body))
	copy(b[markHeader:], body)
	return b, nil
}

// markSize is the size of a mark by its header, bytes; 0 when it is none.
func markSize(header []byte) uint64 {
	if len(header) < markHeader || !bytes.HasPrefix(header, []byte(markMagic)) {
		return 0
	}
	n := uint64(le.Uint32(header[12:]))
	if n > maxMark {
		return 0
	}
	return (markHeader + n + pageSize - 1) &^ (pageSize - 1)
}

// decodeMark reads a mark. What it says is checked for itself only.
func decodeMark(b []byte) (*mark, error) {
	if v := le.Uint32(b[8:]); v != markVersion {
		return nil, fmt.Errorf("its version is %d, this floe knows %d", v, markVersion)
	}
	n := int(le.Uint32(b[12:]))
	if n > len(b)-markHeader {
		return nil, fmt.Errorf("it is cut short")
	}
	body := b[markHeader : markHeader+n]
	if crc32c.Checksum(body) != le.Uint32(b[16:]) {
		return nil, fmt.Errorf("its checksum is wrong")
	}
	var msg record.VdsoMark
	if err := record.Decode(body, &msg); err != nil {
		return nil, err
	}
	if msg.Image == nil {
		return nil, fmt.Errorf("it has no image")
	}
	m := &mark{at: msg.Address, random: Random{msg.Image.RandomState, msg.RuntimeRandomState}, kernel: msg.KernelRelease,
		runtime: recordAreas(&record.Vdso{Areas: msg.Runtime})}
	if err := CheckAreas(m.runtime); err != nil {
		return nil, err
	}
	for _, d := range msg.Image.Droppable {
		m.droppable = append(m.droppable, Span{d.Start, d.End})
	}
	im, err := Parse(msg.Image.Image)
	if err != nil {
		return nil, err
	}
	m.image = VDSO{Areas: recordAreas(msg.Image), Image: im}
	if err := CheckAreas(m.image.Areas); err != nil {
		return nil, err
	}
	code, ok, err := Code(m.image.Areas)
	if err != nil || !ok || code.Size() != uint64(len(im.code)) {
		return nil, fmt.Errorf("its image has no area, or one of another size")
	}
	return m, nil
}
