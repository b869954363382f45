package vmas

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"floe/lib/record"
)

// file records the file behind one of /proc's links, which leads to it even
// where its path doesn't any more, and returns its number.
func (c *collector) file(link string) (uint64, error) {
	path, err := os.Readlink(link)
	if err != nil {
		return 0, err
	}
	var st unix.Stat_t
	if err := unix.Stat(link, &st); err != nil {
		return 0, fmt.Errorf("%s: %w", link, err)
	}
	k := fileKey{st.Dev, st.Ino, path}
	if id := c.files[k]; id != 0 {
		return id, nil
	}
	name, deleted := strings.CutSuffix(path, " (deleted)")
	if deleted && st.Nlink > 0 {
		// A name that ends so, or a file that has another name still.
		var by unix.Stat_t
		if unix.Stat(path, &by) == nil && by.Dev == st.Dev && by.Ino == st.Ino {
			name, deleted = path, false
		}
	}
	f := &record.File{
		FileId: uint64(len(c.files) + 1), Path: []byte(name), Dev: st.Dev, Ino: st.Ino, Mode: st.Mode, Size: uint64(st.Size),
		MtimeNs: st.Mtim.Nano(), Deleted: deleted, Rdev: st.Rdev, Uid: st.Uid, Gid: st.Gid,
	}
	if st.Mode&unix.S_IFMT == unix.S_IFREG {
		f.BuildId = buildID(link)
	}
	if err := refuseFile(f); err != nil {
		return 0, err
	}
	c.files[k] = f.FileId
	return f.FileId, c.emit(&record.Record{Body: &record.Record_File{File: f}})
}

// buildID reads the GNU build-id of an ELF file, nil when it has none.
func buildID(path string) []byte {
	r, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer r.Close()
	var magic [4]byte
	if _, err := r.ReadAt(magic[:], 0); err != nil || string(magic[:]) != elf.ELFMAG {
		return nil
	}
	f, err := elf.NewFile(r)
	if err != nil {
		return nil
	}
	const most = 64 << 10
	for _, p := range f.Progs {
		if p.Type != elf.PT_NOTE || p.Filesz > most {
			continue
		}
		b := make([]byte, p.Filesz)
		if _, err := p.ReadAt(b, 0); err != nil {
			continue
		}
		if id := noteBuildID(b, f.ByteOrder); id != nil {
			return id
		}
	}
	return nil
}

// noteBuildID looks through ELF notes for NT_GNU_BUILD_ID.
func noteBuildID(b []byte, order binary.ByteOrder) []byte {
	const head, gnuBuildID = 12, 3
	for len(b) >= head {
		namesz, descsz, kind := uint64(order.Uint32(b)), uint64(order.Uint32(b[4:])), order.Uint32(b[8:])
		desc := head + (namesz+3)&^3
		end := desc + (descsz+3)&^3
		if desc+descsz > uint64(len(b)) {
			return nil
		}
		if kind == gnuBuildID && namesz == 4 && string(b[head:head+4]) == "GNU\x00" {
			return b[desc : desc+descsz]
		}
		if end > uint64(len(b)) {
			return nil
		}
		b = b[end:]
	}
	return nil
}
