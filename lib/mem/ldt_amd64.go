package mem

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/stub"
)

// A local descriptor table, modify_ldt(2), <asm/ldt.h>: segments of the process's
// own. Nearly no 64-bit program has one (wine and dosemu do).
const (
	ldtEntry   = 8 // bytes of a descriptor
	ldtEntries = 8192
	readLDT    = 0
	writeLDT   = 0x11
)

func askLDT(bytes int) stub.Call {
	return stub.Call{What: "modify_ldt", Nr: unix.SYS_MODIFY_LDT, Args: []stub.Arg{stub.I(readLDT), stub.D(make([]byte, bytes)), stub.I(bytes)}}
}

// AskLDT asks for the whole table.
func AskLDT() []stub.Call { return []stub.Call{askLDT(ldtEntries * ldtEntry)} }

// AnswerLDT reads the table, up to its last descriptor.
func AnswerLDT(res []int64, data func(call, arg int) ([]byte, error)) ([]byte, error) {
	if e := failed(res[0]); e != 0 {
		return nil, fmt.Errorf("modify_ldt: %w", e)
	}
	b, err := data(0, 1)
	if err != nil {
		return nil, err
	}
	end := 0
	for i := 0; i < len(b); i += ldtEntry {
		if binary.LittleEndian.Uint64(b[i:]) != 0 {
			end = i + ldtEntry
		}
	}
	return append([]byte(nil), b[:end]...), nil
}

// answerLDT tells whether there is a table. A kernel without the call has none.
func answerLDT(res int64) (bool, error) {
	if e := failed(res); e != 0 && e != unix.ENOSYS {
		return false, fmt.Errorf("modify_ldt: %w", e)
	}
	return res > 0, nil
}

// setLDT plans the descriptors, one by one.
func setLDT(table []byte) ([]stub.Call, error) {
	if len(table)%ldtEntry != 0 || len(table) > ldtEntry*ldtEntries {
		return nil, fmt.Errorf("its local descriptor table has %d bytes", len(table))
	}
	var calls []stub.Call
	for i := 0; i < len(table); i += ldtEntry {
		v := binary.LittleEndian.Uint64(table[i:])
		if v == 0 {
			continue
		}
		desc, err := userDesc(uint32(i/ldtEntry), v)
		if err != nil {
			return nil, err
		}
		calls = append(calls, stub.Call{What: "modify_ldt", Nr: unix.SYS_MODIFY_LDT, Args: []stub.Arg{stub.I(writeLDT), stub.D(desc), stub.I(len(desc))}})
	}
	return calls, nil
}

// userDesc is the struct user_desc that makes the kernel write a descriptor:
//
//	 0  u32  entry number
//	 4  u32  base address
//	 8  u32  limit
//	12  u32  bit 0: 32-bit; 1, 2: contents; 3: read or execute only; 4: limit in
//	         pages; 5: not present; 6: useable
//
// The descriptor's bits are those of the processor's manual.
func userDesc(number uint32, v uint64) ([]byte, error) {
	bit := func(at int) uint32 { return uint32(v>>at) & 1 }
	const user = 3
	if bit(44) == 0 || uint32(v>>45)&3 != user || bit(53) != 0 {
		return nil, fmt.Errorf("its local descriptor %d, %#x, is no segment of a program's", number, v)
	}
	base := uint32(v>>16)&0xffffff | uint32(v>>56)<<24
	limit := uint32(v)&0xffff | uint32(v>>48)&0xf<<16
	contents := uint32(v>>42) & 3
	flags := bit(54) | contents<<1 | (bit(41)^1)<<3 | bit(55)<<4 | (bit(47)^1)<<5 | bit(52)<<6
	b := make([]byte, 16)
	for i, f := range []uint32{number, base, limit, flags} {
		binary.LittleEndian.PutUint32(b[4*i:], f)
	}
	return b, nil
}
