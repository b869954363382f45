package vmas

import (
	"encoding/binary"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"floe/lib/kabi"
	"floe/lib/procfs"
)

// overlay refuses a mapping of a file on an overlayfs that has been copied up
// since it was mapped. The process still sees the file of the lower layer as it
// was, and whoever opens the path gets the copy: device, inode and path are the
// same. But it is another file, with other pages.
func (s *space) overlay(m *procfs.Mapping, o *object) error {
	const tries = 5 // a page may be moved or given back between the two looks
	for range tries {
		theirs, at, err := s.filePage(m, o)
		if err != nil || theirs == 0 {
			return err
		}
		ours, err := s.pageOf(o, at)
		if err != nil || ours == theirs || ours == 0 {
			return err
		}
	}
	return fmt.Errorf("the file %s was copied up (overlayfs) after it had been mapped: the process has its contents from before, which nobody can open any more; start the program again", o.path)
}

const (
	pageSize   = 4096
	entrySize  = 8
	frameBits  = 1<<55 - 1 // of a pagemap entry: the page's number in memory; 0 without CAP_SYS_ADMIN
	atOnceSize = 512       // entries
)

// filePage is the frame of a page of the file that a mapping has, and its offset
// in the file; 0 when there is none. A mapping that has not been used gets one.
func (s *space) filePage(m *procfs.Mapping, o *object) (frame, offset uint64, err error) {
	if o.stat.Size <= int64(m.Offset) {
		return 0, 0, nil
	}
	end := min(m.End, m.Start+(uint64(o.stat.Size)-m.Offset+pageSize-1)&^(pageSize-1))
	f, err := s.open("pagemap")
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	absent := uint64(0)
	b := make([]byte, atOnceSize*entrySize)
	for at := m.Start; at < end; {
		n, err := f.ReadAt(b[:min(uint64(len(b)), (end-at)/pageSize*entrySize)], int64(at/pageSize*entrySize))
		if err != nil {
			return 0, 0, err
		}
		for i := 0; i < n; i, at = i+entrySize, at+pageSize {
			switch e := binary.LittleEndian.Uint64(b[i:]); {
			case e&kabi.PM_PRESENT != 0 && e&kabi.PM_FILE != 0:
				return e & frameBits, m.Offset + at - m.Start, nil
			case e&(kabi.PM_PRESENT|kabi.PM_SWAP) == 0 && absent == 0:
				absent = at
			}
		}
	}
	if absent == 0 {
		return 0, 0, nil // all of it is the process's own
	}
	mem, err := s.open("mem")
	if err != nil {
		return 0, 0, err
	}
	defer mem.Close()
	if _, err := mem.ReadAt(b[:1], int64(absent)); err != nil {
		return 0, 0, err
	}
	if _, err := f.ReadAt(b[:entrySize], int64(absent/pageSize*entrySize)); err != nil {
		return 0, 0, err
	}
	return binary.LittleEndian.Uint64(b) & frameBits, m.Offset + absent - m.Start, nil
}

// pageOf is the frame of a page of the file as it is opened now.
func (s *space) pageOf(o *object, offset uint64) (uint64, error) {
	f, err := s.open(o.link)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	b, err := unix.Mmap(int(f.Fd()), int64(offset), pageSize, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return 0, fmt.Errorf("%s: mmap: %w", o.path, err)
	}
	defer func() { _ = unix.Munmap(b) }()
	// Not an ordinary access: the file may be shorter by now.
	var one [1]byte
	local := []unix.Iovec{{Base: &one[0], Len: 1}}
	at := addressOf(b)
	if _, err := unix.ProcessVMReadv(os.Getpid(), local, []unix.RemoteIovec{{Base: uintptr(at), Len: 1}}, 0); err != nil {
		return 0, fmt.Errorf("%s: read at %#x: %w", o.path, offset, err)
	}
	own, err := procfs.Open("/proc/self/pagemap", unix.O_RDONLY)
	if err != nil {
		return 0, err
	}
	defer own.Close()
	var e [entrySize]byte
	if _, err := own.ReadAt(e[:], int64(at/pageSize*entrySize)); err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(e[:]) & frameBits, nil
}
