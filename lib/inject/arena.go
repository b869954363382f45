package inject

import (
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/stub"
	"floe/lib/tracer"
)

// Arena is floe's own memory in every puppet of a tree, at the same addresses
// in each:
//
//	Base    code page      r-x, private
//	        commit page    rw-, shared by all puppets and restore
//	        table room     rw-, private: tables and their data
//	        frame room     rw-, private: one signal frame a thread
//	End
type Arena struct {
	Base      uint64
	code      stub.Code
	tableRoom int
	frameRoom int
	scratch   *stub.Table // see empty
}

// TableRoom is the size of the table room, bytes.
const TableRoom = 256 << 10

// ArenaMappings is how many mappings an arena has.
const ArenaMappings = 3

// NewArena lays out an arena at base with frameBytes of frame room.
func NewArena(base uint64, frameBytes int) *Arena {
	frames := (frameBytes + stub.PageSize - 1) &^ (stub.PageSize - 1)
	return &Arena{Base: base, code: stub.NewCode(), tableRoom: TableRoom, frameRoom: frames}
}

// Size is the size of an arena with frameBytes of frame room, bytes.
func Size(frameBytes int) uint64 { return NewArena(0, frameBytes).End() }

// End is the first address after the arena.
func (a *Arena) End() uint64 { return a.Frames() + uint64(a.frameRoom) }

// Frames is the address of the frame room.
func (a *Arena) Frames() uint64 { return a.table() + uint64(a.tableRoom) }

func (a *Arena) commit() uint64 { return a.Base + stub.PageSize }
func (a *Arena) table() uint64  { return a.commit() + stub.PageSize }

// install maps the arena in the first puppet, whose syscall instruction is at
// seed; commitFD is the shared page's descriptor in it.
func (a *Arena) install(p *tracer.Ptrace, tid tracer.TID, seed uint64, commitFD int) error {
	const fixed = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_FIXED_NOREPLACE
	maps := []struct {
		at, size    uint64
		prot, flags int
		fd          int
	}{
		{a.Base, stub.PageSize, unix.PROT_READ | unix.PROT_EXEC, fixed, -1},
		{a.commit(), stub.PageSize, unix.PROT_READ | unix.PROT_WRITE, unix.MAP_SHARED | unix.MAP_FIXED_NOREPLACE, commitFD},
		{a.table(), uint64(a.tableRoom + a.frameRoom), unix.PROT_READ | unix.PROT_WRITE, fixed | unix.MAP_NORESERVE, -1},
	}
	for _, m := range maps {
		got, err := callAt(p, tid, seed, unix.SYS_MMAP, m.at, m.size, uint64(m.prot), uint64(m.flags), uint64(m.fd), 0)
		if err == nil && uint64(got) != m.at {
			err = unix.EEXIST
		}
		if err != nil {
			return fmt.Errorf("task %d: mmap of floe's arena at %#x: %w", tid, m.at, err)
		}
	}
	mem, err := tracer.OpenMem(tid)
	if err != nil {
		return err
	}
	defer mem.Close()
	return mem.Write(tracer.Addr(a.Base), a.code.Bytes)
}
