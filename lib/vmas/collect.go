// Package vmas reads the memory maps of frozen tasks into records.
package vmas

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"floe/lib/image"
	"floe/lib/procfs"
	"floe/lib/record"
)

// collector numbers files and shared objects across the tree.
type collector struct {
	emit  func(*record.Record) error
	files map[fileKey]uint64
	shmem map[objectKey]uint64
	sizes map[uint64]uint64 // of shared objects, by id
}

type fileKey struct {
	dev, ino uint64
	path     string
}

type objectKey struct{ dev, ino uint64 }

// Collect gives records of all address spaces of a frozen tree to emit: Files
// before the mappings of them, each Mm before its Vmas.
func Collect(im *image.Image, emit func(*record.Record) error) error {
	c := &collector{emit: emit, files: map[fileKey]uint64{}, shmem: map[objectKey]uint64{}, sizes: map[uint64]uint64{}}
	done := map[uint64]bool{}
	for _, t := range im.Tasks {
		if t.State == record.Task_ZOMBIE || done[t.MmId] {
			continue
		}
		done[t.MmId] = true
		if err := c.space(t); err != nil {
			return fmt.Errorf("task %d (%s): %w", t.Pid, t.Comm, err)
		}
	}
	return nil
}

func (c *collector) space(t *record.Task) error {
	f, err := os.Open(fmt.Sprintf("/proc/%d/smaps", t.Pid))
	if err != nil {
		return err
	}
	defer f.Close()
	maps, err := procfs.ParseMappings(f)
	if err != nil {
		return err
	}
	mm, err := c.mm(t, len(maps))
	if err != nil {
		return err
	}
	var list []*record.Vma
	for i := range maps {
		v, err := c.vma(t, &maps[i])
		if err != nil {
			return fmt.Errorf("%x-%x: %w", maps[i].Start, maps[i].End, err)
		}
		list = append(list, v)
	}
	if err := c.emit(&record.Record{Body: &record.Record_Mm{Mm: mm}}); err != nil {
		return err
	}
	for _, v := range list {
		if v.Kind == record.Vma_ANON_SHARED {
			v.ShmemSize = c.sizes[v.ShmemId]
		}
		if err := c.emit(&record.Record{Body: &record.Record_Vma{Vma: v}}); err != nil {
			return err
		}
	}
	return nil
}

func (c *collector) mm(t *record.Task, n int) (*record.Mm, error) {
	s, err := procfs.ReadStat(int(t.Pid))
	if err != nil {
		return nil, err
	}
	auxv, err := os.ReadFile(fmt.Sprintf("/proc/%d/auxv", t.Pid))
	if err != nil {
		return nil, err
	}
	exe, err := c.file(fmt.Sprintf("/proc/%d/exe", t.Pid))
	if err != nil {
		return nil, fmt.Errorf("exe: %w", err)
	}
	return &record.Mm{
		MmId: t.MmId, Pid: t.Pid, StartCode: s.StartCode, EndCode: s.EndCode, StartData: s.StartData, EndData: s.EndData,
		StartBrk: s.StartBrk, Brk: t.Brk, StartStack: s.StartStack, ArgStart: s.ArgStart, ArgEnd: s.ArgEnd,
		EnvStart: s.EnvStart, EnvEnd: s.EnvEnd, Auxv: trimAuxv(auxv), ExeFile: exe, Vmas: uint64(n),
	}, nil
}

// trimAuxv cuts the vector after its AT_NULL entry: /proc gives the whole
// array that the kernel keeps.
func trimAuxv(b []byte) []byte {
	const entry = 16
	for i := 0; i+entry <= len(b); i += entry {
		if binary.LittleEndian.Uint64(b[i:]) == 0 {
			return b[:i+entry]
		}
	}
	return b
}

func (c *collector) vma(t *record.Task, m *procfs.Mapping) (*record.Vma, error) {
	v := &record.Vma{MmId: t.MmId, Start: m.Start, End: m.End, Offset: m.Offset, Flags: m.VmFlags, Name: m.Name}
	for _, p := range []struct {
		has  bool
		flag string
		bit  uint32
	}{{m.Read, "mr", unix.PROT_READ}, {m.Write, "mw", unix.PROT_WRITE}, {m.Exec, "me", unix.PROT_EXEC}} {
		if p.has {
			v.Prot |= p.bit
		}
		if hasFlag(m, p.flag) {
			v.MayProt |= p.bit
		}
	}
	if len(m.VmFlags) == 0 && m.Name != "[vsyscall]" {
		return nil, fmt.Errorf("the kernel does not say its VmFlags (CONFIG_PROC_PAGE_MONITOR)")
	}
	if err := c.kind(t, m, v); err != nil {
		return nil, err
	}
	return v, refuse(m, v)
}

func hasFlag(m *procfs.Mapping, flag string) bool {
	for _, f := range m.VmFlags {
		if f == flag {
			return true
		}
	}
	return false
}

// ordinary are the names in brackets that the kernel gives to a process's own
// anonymous memory; all others are the kernel's.
func ordinary(name string) bool {
	return name == "" || name == "[heap]" || name == "[stack]" || strings.HasPrefix(name, "[stack:") ||
		strings.HasPrefix(name, "[anon:") || strings.HasPrefix(name, "[anon_shmem:")
}

// kind sorts a mapping into a kind, and finds what is behind it.
func (c *collector) kind(t *record.Task, m *procfs.Mapping, v *record.Vma) (err error) {
	at := fmt.Sprintf("/proc/%d/map_files/%x-%x", t.Pid, m.Start, m.End)
	switch {
	case m.Name == "[vsyscall]":
		v.Kind = record.Vma_VSYSCALL
	case m.Inode == 0 && strings.HasPrefix(m.Name, "[") && !ordinary(m.Name):
		v.Kind = record.Vma_SPECIAL
	case m.Inode == 0 && !m.Shared:
		v.Kind, v.Offset = record.Vma_ANON_PRIVATE, 0
	case m.Shared && (m.Name == "/dev/zero (deleted)" || strings.HasPrefix(m.Name, "[anon_shmem:")):
		v.Kind = record.Vma_ANON_SHARED
		v.ShmemId, err = c.object(at)
	case m.Inode == 0:
		return fmt.Errorf("a shared mapping without a file (%s) can't be saved yet", m.Name)
	case m.Shared:
		v.Kind = record.Vma_FILE_SHARED
		v.FileId, err = c.file(at)
	default:
		v.Kind = record.Vma_FILE_PRIVATE
		v.FileId, err = c.file(at)
	}
	return err
}

// object numbers a shared anonymous object.
func (c *collector) object(at string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(at, &st); err != nil {
		return 0, fmt.Errorf("%s: %w", at, err)
	}
	k := objectKey{st.Dev, st.Ino}
	id := c.shmem[k]
	if id == 0 {
		id = uint64(len(c.shmem) + 1)
		c.shmem[k] = id
	}
	c.sizes[id] = uint64(st.Size)
	return id, nil
}
