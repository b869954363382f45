package vmas

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"floe/lib/image"
	"floe/lib/inject"
	"floe/lib/mem"
	"floe/lib/plan"
	"floe/lib/procfs"
	"floe/lib/record"
)

// space is one address space.
type space struct {
	*collector
	task   *record.Task
	proc   *os.File // /proc/PID
	behind map[behindKey]*object
	unseen map[string]bool // lines of smaps that are new to floe
}

// space records the address space of a task.
func (c *collector) space(t *record.Task) error {
	dir, err := procfs.Open(fmt.Sprintf("/proc/%d", t.Pid), unix.O_RDONLY)
	if err != nil {
		return err
	}
	defer dir.Close()
	s := &space{collector: c, task: t, proc: dir, behind: map[behindKey]*object{}, unseen: map[string]bool{}}
	list, err := s.vmas()
	if err != nil {
		return err
	}
	mm, err := s.mm(len(list))
	if err != nil {
		return err
	}
	if err := c.emit(&record.Record{Body: &record.Record_Mm{Mm: mm}}); err != nil {
		return err
	}
	for _, v := range list {
		if err := c.emit(&record.Record{Body: &record.Record_Vma{Vma: v}}); err != nil {
			return err
		}
	}
	c.verbose("task %d (%s): %d mappings of %d files and shared objects", t.Pid, t.Comm, len(list), len(s.behind))
	return nil
}

// vmas reads all mappings, in order of address.
func (s *space) vmas() ([]*record.Vma, error) {
	f, err := s.open("smaps")
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("no smaps in /proc: this kernel was built without CONFIG_PROC_PAGE_MONITOR, which floe needs")
	} else if err != nil {
		return nil, err
	}
	defer f.Close()
	var list []*record.Vma
	var left []*record.Vdso_Span
	for m, err := range procfs.Mappings(f) {
		if err != nil {
			return nil, err
		}
		if span, err := s.leftover(m); err != nil {
			return nil, fmt.Errorf("%x-%x: %w", m.Start, m.End, err)
		} else if span != nil {
			left = append(left, span)
			continue
		}
		v, err := s.vma(m)
		if err != nil {
			return nil, fmt.Errorf("%x-%x: %w", m.Start, m.End, err)
		}
		list = append(list, v)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("it has no memory any more; was it killed?")
	}
	list = image.Without(list, left)
	if err := s.checkCount(list); err != nil {
		return nil, err
	}
	return list, checkSpecial(list)
}

// checkCount refuses a process that has so many mappings that restore's own,
// while it works, would be too many.
func (s *space) checkCount(list []*record.Vma) error {
	limit, err := s.mapLimit()
	if err != nil {
		return err
	}
	n := plan.Mappings(list)
	if n+inject.ArenaMappings > limit {
		return fmt.Errorf("it has %d mappings, and %d more are needed to restore it: the limit is %d; raise it (sysctl vm.max_map_count)", n, inject.ArenaMappings, limit)
	}
	return nil
}

// leftover tells the mapping by which restore's own memory is known, where one
// that was killed has left it. Nobody uses it, and the image goes without.
func (s *space) leftover(m *procfs.Mapping) (*record.Vdso_Span, error) {
	if !inject.IsCommitPage(m.Name) {
		return nil, nil
	}
	mem, err := s.open("mem")
	if err != nil {
		return nil, err
	}
	defer mem.Close()
	base, end, ok := inject.Leftover(mem, m.Start)
	if !ok {
		return nil, nil // somebody else's of that name
	}
	s.verbose("task %d (%s): %x-%x is a killed restore's own, and is left out", s.task.Pid, s.task.Comm, base, end)
	return &record.Vdso_Span{Start: base, End: end}, nil
}

// open opens a file of the task's.
func (s *space) open(name string) (*os.File, error) {
	fd, err := unix.Openat(int(s.proc.Fd()), name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: s.proc.Name() + "/" + name, Err: err}
	}
	return os.NewFile(uintptr(fd), s.proc.Name()+"/"+name), nil
}

// mm describes the address space, which has n mappings.
func (s *space) mm(n int) (*record.Mm, error) {
	t := s.task
	st, err := procfs.ReadStat(int(t.Pid))
	if err != nil {
		return nil, err
	}
	auxv, err := procfs.ReadAuxv(int(t.Pid))
	if err != nil {
		return nil, err
	}
	exe, err := s.look("exe")
	if err != nil {
		return nil, fmt.Errorf("its program: %w", err)
	}
	id, err := s.file(exe)
	if err != nil {
		return nil, fmt.Errorf("its program: %w", err)
	}
	return &record.Mm{
		MmId: t.MmId, Pid: t.Pid, StartCode: st.StartCode, EndCode: st.EndCode, StartData: st.StartData, EndData: st.EndData,
		StartBrk: st.StartBrk, Brk: t.Brk, StartStack: st.StartStack, ArgStart: st.ArgStart, ArgEnd: st.ArgEnd,
		EnvStart: st.EnvStart, EnvEnd: st.EnvEnd, Auxv: auxv, ExeFile: id, Vmas: uint64(n), Attrs: t.Mm,
	}, nil
}

// vma describes one mapping.
func (s *space) vma(m *procfs.Mapping) (*record.Vma, error) {
	for _, line := range m.Unknown {
		s.news(line)
	}
	if len(m.VmFlags) == 0 {
		return nil, fmt.Errorf("the kernel doesn't say its VmFlags")
	}
	v := &record.Vma{MmId: s.task.MmId, Start: m.Start, End: m.End, Flags: m.VmFlags, Name: m.Name}
	for _, p := range []struct {
		has  bool
		flag string
		bit  uint32
	}{{m.Read, mem.MayRead, unix.PROT_READ}, {m.Write, mem.MayWrite, unix.PROT_WRITE}, {m.Exec, mem.MayExec, unix.PROT_EXEC}} {
		if p.has {
			v.Prot |= p.bit
		}
		if m.Has(p.flag) {
			v.MayProt |= p.bit
		}
	}
	if err := s.kind(m, v); err != nil {
		return nil, err
	}
	return v, s.locked(m, v)
}

// news tells once of a line of smaps that this version has never heard of.
func (s *space) news(line string) {
	name := line
	for i := range line {
		if line[i] == ':' {
			name = line[:i]
			break
		}
	}
	if !s.unseen[name] {
		s.unseen[name] = true
		s.verbose("task %d (%s): smaps has a line that this version does not know: %s", s.task.Pid, s.task.Comm, line)
	}
}
