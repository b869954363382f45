package inject

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"floe/lib/kabi"
	"floe/lib/procfs"
	"floe/lib/tracer"
)

// noRoomError says why a process has no room for a guest program.
type noRoomError string

func (e noRoomError) Error() string { return string(e) }

// findTail looks for guestSize bytes or more (room) at the end of a process's vDSO
// that its ELF image leaves free: zeros, or a guest program that was left behind
// (left).
func findTail(pid tracer.TID, mem *tracer.Mem) (at tracer.Addr, room int, left bool, err error) {
	start, end, err := VDSO(pid)
	if err != nil {
		return 0, 0, false, err
	}
	const most = 64 << 10
	if end-start > most {
		return 0, 0, false, noRoomError(fmt.Sprintf("its vDSO has %d bytes", end-start))
	}
	b := make([]byte, end-start)
	if err := mem.Read(start, b); err != nil {
		return 0, 0, false, err
	}
	used, err := elfEnd(b)
	if err != nil {
		return 0, 0, false, noRoomError(fmt.Sprintf("its vDSO: %v", err))
	}
	off := (used + 15) &^ 15
	if off+guestSize > len(b) {
		return 0, 0, false, noRoomError(fmt.Sprintf("its vDSO leaves %d bytes free, floe needs %d", len(b)-off, guestSize))
	}
	free := b[off:min(off+guestMost, len(b))]
	left = bytes.HasPrefix(free, guestMagic[:])
	if !left && len(bytes.Trim(free, "\x00")) != 0 {
		free = free[:guestSize]
	}
	if !left && len(bytes.Trim(free, "\x00")) != 0 {
		return 0, 0, false, noRoomError("the end of its vDSO is in use")
	}
	return start + tracer.Addr(off), len(free), left, nil
}

// VDSO is where a process has the code of its vDSO.
func VDSO(pid tracer.TID) (start, end tracer.Addr, err error) {
	if start, end, ok := NativeVDSO(pid); ok {
		return start, end, nil
	}
	maps, err := procfs.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return 0, 0, err
	}
	i := bytes.Index(maps, []byte("[vdso]\n"))
	if i < 0 {
		return 0, 0, noRoomError("it has no vDSO, and so no room for floe's code: it can't be checkpointed")
	}
	line := maps[bytes.LastIndexByte(maps[:i], '\n')+1 : i]
	from, rest, _ := bytes.Cut(line, []byte("-"))
	to, _, _ := bytes.Cut(rest, []byte(" "))
	lo, err := strconv.ParseUint(string(from), 16, 64)
	if err != nil {
		return 0, 0, err
	}
	hi, err := strconv.ParseUint(string(to), 16, 64)
	return tracer.Addr(lo), tracer.Addr(hi), err
}

// NativeVDSO asks the kernel for the mapping at AT_SYSINFO_EHDR, where it put the
// vDSO: a process may have very many mappings. ok is false on a kernel that
// can't be asked (before 6.11), and for a process that has moved its vDSO, or
// has a proxy.
func NativeVDSO(pid tracer.TID) (start, end tracer.Addr, ok bool) {
	const atSysinfoEhdr, pair = 33, 16
	auxv, err := procfs.ReadFile(fmt.Sprintf("/proc/%d/auxv", pid))
	if err != nil {
		return 0, 0, false
	}
	for ; len(auxv) >= pair; auxv = auxv[pair:] {
		if binary.LittleEndian.Uint64(auxv) != atSysinfoEhdr {
			continue
		}
		f, err := procfs.Open(fmt.Sprintf("/proc/%d/maps", pid), unix.O_RDONLY)
		if err != nil {
			return 0, 0, false
		}
		defer f.Close()
		m, err := kabi.ProcmapQuery(f, binary.LittleEndian.Uint64(auxv[8:]))
		return tracer.Addr(m.Start), tracer.Addr(m.End), err == nil && m.Name == "[vdso]"
	}
	return 0, 0, false
}

// elfEnd is the end of everything that an ELF64 file's headers name, bytes.
func elfEnd(b []byte) (int, error) {
	if len(b) < 64 || !bytes.HasPrefix(b, []byte("\x7fELF\x02\x01")) {
		return 0, fmt.Errorf("not an ELF image")
	}
	le := binary.LittleEndian
	end := uint64(64)
	table := func(off uint64, size, n uint16, offAt, sizeAt int, skip uint32) error {
		if off > uint64(len(b)) || off+uint64(size)*uint64(n) > uint64(len(b)) || n > 0 && int(size) < sizeAt+8 {
			return fmt.Errorf("a header table lies outside of it")
		}
		end = max(end, off+uint64(size)*uint64(n))
		for i := range uint64(n) {
			e := b[off+i*uint64(size):]
			if skip != 0 && le.Uint32(e[4:]) == skip {
				continue
			}
			o, s := le.Uint64(e[offAt:]), le.Uint64(e[sizeAt:])
			if o > uint64(len(b)) || s > uint64(len(b))-o {
				return fmt.Errorf("a part of it lies outside of it")
			}
			end = max(end, o+s)
		}
		return nil
	}
	const shtNoBits = 8
	if err := table(le.Uint64(b[32:]), le.Uint16(b[54:]), le.Uint16(b[56:]), 8, 32, 0); err != nil {
		return 0, err
	}
	if err := table(le.Uint64(b[40:]), le.Uint16(b[58:]), le.Uint16(b[60:]), 24, 32, shtNoBits); err != nil {
		return 0, err
	}
	return int(end), nil
}
