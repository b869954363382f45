package pages

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"floe/lib/procfs"
)

// mapping is where a task has part of a shared object.
type mapping struct {
	mem        *memory
	start, end uint64 // addresses
	offset     uint64 // in the object
}

// shared is a shared anonymous object (MAP_SHARED|MAP_ANONYMOUS, System V,
// memfd): its pages are the object's, whoever maps them.
type shared struct {
	id   uint64
	maps []mapping
	f    *os.File // the object, through /proc/PID/map_files; nil if that isn't allowed
	refs atomic.Int64
}

// open opens the object through one of its mappings. Without CAP_SYS_ADMIN or
// CAP_CHECKPOINT_RESTORE that is refused; then what is mapped is read through
// the mappings.
func (s *shared) open() error {
	var err error
	for _, m := range s.maps {
		s.f, err = procfs.Open(fmt.Sprintf("/proc/%d/map_files/%x-%x", m.mem.pid, m.start, m.end), unix.O_RDONLY)
		if err == nil {
			return nil
		}
	}
	s.f = nil
	if errors.Is(err, os.ErrPermission) {
		return nil
	}
	return fmt.Errorf("shared memory %d: %w", s.id, err)
}

// scan calls emit with the parts of the object that are not holes.
func (s *shared) scan(emit func(extent) error) error {
	if s.f == nil {
		return s.scanMappings(emit)
	}
	for at := int64(0); ; {
		data, err := unix.Seek(int(s.f.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil // no more
		}
		if err != nil {
			return fmt.Errorf("%s: SEEK_DATA: %w", s.f.Name(), err)
		}
		if at, err = unix.Seek(int(s.f.Fd()), data, unix.SEEK_HOLE); err != nil {
			return fmt.Errorf("%s: SEEK_HOLE: %w", s.f.Name(), err)
		}
		first := uint64(data) / PageSize
		end := (uint64(at) + PageSize - 1) / PageSize
		if err := emit(extent{Run{first * PageSize, end - first}, classData}); err != nil {
			return err
		}
	}
}

// scanMappings emits everything mapped, holes or not, once.
func (s *shared) scanMappings(emit func(extent) error) error {
	for at := uint64(0); ; {
		m := s.next(at)
		if m == nil {
			return nil
		}
		from, to := max(at, m.offset), m.offset+m.end-m.start
		if err := emit(extent{Run{from, (to - from) / PageSize}, classData}); err != nil {
			return err
		}
		at = to
	}
}

// next is the mapping that has the offset at, or the first one after it.
func (s *shared) next(at uint64) *mapping {
	var best *mapping
	for i := range s.maps {
		m := &s.maps[i]
		switch {
		case m.offset+m.end-m.start <= at:
		case best == nil, max(m.offset, at) < max(best.offset, at):
			best = m
		}
	}
	return best
}

func (s *shared) read(v *iovecs, runs []Run, buf []byte) error {
	for _, r := range runs {
		n := int(r.Pages * PageSize)
		if err := s.readRun(v, r, buf[:n]); err != nil {
			return fmt.Errorf("shared memory %d: %w", s.id, err)
		}
		buf = buf[n:]
	}
	return nil
}

func (s *shared) readRun(v *iovecs, r Run, buf []byte) error {
	if s.f != nil {
		n, err := s.f.ReadAt(buf, int64(r.Addr))
		if err == io.EOF {
			clear(buf[n:]) // the object ends inside its last page
			err = nil
		}
		return err
	}
	for at := r.Addr; at < r.End(); {
		m := s.next(at)
		part := Run{m.start + at - m.offset, (min(r.End(), m.offset+m.end-m.start) - at) / PageSize}
		n := part.Pages * PageSize
		if err := m.mem.read(v, []Run{part}, buf[:n]); err != nil {
			return err
		}
		buf, at = buf[n:], at+n
	}
	return nil
}

func (s *shared) hold() { s.refs.Add(1) }

// done closes the object when nothing refers to it any more.
func (s *shared) done() {
	if s.refs.Add(-1) > 0 {
		return
	}
	if s.f != nil {
		s.f.Close()
	}
	for _, m := range s.maps {
		m.mem.done()
	}
}
