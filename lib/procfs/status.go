package procfs

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// Status is what floe needs of /proc/PID/status. Fields has every line of it,
// by the name before the colon.
type Status struct {
	Fields  map[string]string
	Name    string
	TGID    int
	Tracer  int
	UID     [4]uint32 // real, effective, saved, filesystem
	GID     [4]uint32
	Groups  []uint32
	NSPIDs  []int // the pid in each namespace, the outermost first
	Umask   uint32
	NoNew   bool // no_new_privs
	Seccomp int  // 0 off, 1 strict, 2 filter

	CapInh, CapPrm, CapEff, CapBnd, CapAmb uint64
	SigBlk, SigIgn, SigCgt                 uint64
}

// ParseStatus parses the contents of a status file.
func ParseStatus(b []byte) (*Status, error) {
	s := &Status{Fields: map[string]string{}}
	for line := range bytes.Lines(b) {
		name, value, ok := strings.Cut(strings.TrimSuffix(string(line), "\n"), ":")
		if !ok {
			return nil, fmt.Errorf("status: line %q", line)
		}
		s.Fields[name] = strings.TrimSpace(value)
	}
	s.Name = s.Fields["Name"]
	p := &statusParser{s: s}
	s.TGID, s.Tracer = int(p.number("Tgid", 10)), int(p.number("TracerPid", 10))
	p.four("Uid", &s.UID)
	p.four("Gid", &s.GID)
	for _, g := range strings.Fields(s.Fields["Groups"]) {
		s.Groups = append(s.Groups, uint32(p.parse("Groups", g, 10)))
	}
	for _, n := range strings.Fields(s.Fields["NSpid"]) {
		s.NSPIDs = append(s.NSPIDs, int(p.parse("NSpid", n, 10)))
	}
	if _, ok := s.Fields["Umask"]; ok { // not of a zombie
		s.Umask = uint32(p.number("Umask", 8))
	}
	s.NoNew = p.number("NoNewPrivs", 10) != 0
	s.Seccomp = int(p.number("Seccomp", 10))
	for name, to := range map[string]*uint64{
		"CapInh": &s.CapInh, "CapPrm": &s.CapPrm, "CapEff": &s.CapEff, "CapBnd": &s.CapBnd, "CapAmb": &s.CapAmb,
		"SigBlk": &s.SigBlk, "SigIgn": &s.SigIgn, "SigCgt": &s.SigCgt,
	} {
		*to = p.number(name, 16)
	}
	return s, p.err
}

type statusParser struct {
	s   *Status
	err error
}

func (p *statusParser) number(name string, base int) uint64 {
	return p.parse(name, p.s.Fields[name], base)
}

func (p *statusParser) parse(name, text string, base int) uint64 {
	v, err := strconv.ParseUint(text, base, 64)
	if err != nil && p.err == nil {
		p.err = fmt.Errorf("status: %s: %w", name, err)
	}
	return v
}

func (p *statusParser) four(name string, to *[4]uint32) {
	f := strings.Fields(p.s.Fields[name])
	if len(f) != 4 {
		p.err = fmt.Errorf("status: %s: %d numbers", name, len(f))
		return
	}
	for i := range to {
		to[i] = uint32(p.parse(name, f[i], 10))
	}
}

// ReadStatus reads a task's status; tid may be a thread's.
func ReadStatus(tid int) (*Status, error) {
	b, err := read(tid, "status")
	if err != nil {
		return nil, err
	}
	s, err := ParseStatus(b)
	if err != nil {
		return nil, fmt.Errorf("/proc/%d/%w", tid, err)
	}
	return s, nil
}
