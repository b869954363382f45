package procfs

import (
	"bytes"
	"fmt"
	"strconv"
)

// Status is what floe needs of /proc/PID/status.
type Status struct {
	Name     string
	State    byte // 'R', 'S', 'D', 'T', 't', 'Z', 'X'
	TGID     int
	Tracer   int
	UID      [4]uint32 // real, effective, saved, filesystem
	GID      [4]uint32
	Groups   []uint32
	NSPIDs   []int // the pid in each namespace, the outermost first
	Umask    uint32
	NoNew    bool   // no_new_privs
	Seccomp  int    // 0 off, 1 strict, 2 filter
	Features string // of the thread (x86_Thread_features): "shstk wrss"

	CapInh, CapPrm, CapEff, CapBnd, CapAmb uint64
	SigPnd, ShdPnd                         uint64 // pending: for the thread, for the process
	SigBlk, SigIgn, SigCgt                 uint64
}

// needed are the lines that every task has.
var needed = [...]string{"Name", "State", "Tgid", "TracerPid", "Uid", "Gid", "NoNewPrivs", "Seccomp",
	"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt"}

// ParseStatus parses the contents of a status file.
func ParseStatus(b []byte) (*Status, error) {
	p := &statusParser{s: &Status{}}
	seen := 0
	for line := range bytes.Lines(b) {
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			return nil, fmt.Errorf("status: line %q", line)
		}
		if p.line(string(name), bytes.TrimSpace(value)) {
			seen++
		}
	}
	if seen < len(needed) && p.err == nil {
		p.err = fmt.Errorf("status: it has %d of the lines %s", seen, needed)
	}
	return p.s, p.err
}

type statusParser struct {
	s   *Status
	err error
}

// line takes a line; true for one that every task has.
func (p *statusParser) line(name string, v []byte) bool {
	s := p.s
	switch name {
	case "Umask": // not of a zombie
		s.Umask = uint32(p.parse(name, v, 8))
		return false
	case "Groups":
		for _, g := range bytes.Fields(v) {
			s.Groups = append(s.Groups, uint32(p.parse(name, g, 10)))
		}
		return false
	case "NSpid":
		for _, n := range bytes.Fields(v) {
			s.NSPIDs = append(s.NSPIDs, int(p.parse(name, n, 10)))
		}
		return false
	case "x86_Thread_features":
		s.Features = string(v)
		return false
	case "Name":
		s.Name = string(v)
	case "State":
		if len(v) == 0 {
			return false
		}
		s.State = v[0]
	case "Tgid":
		s.TGID = int(p.parse(name, v, 10))
	case "TracerPid":
		s.Tracer = int(p.parse(name, v, 10))
	case "Uid":
		p.four(name, v, &s.UID)
	case "Gid":
		p.four(name, v, &s.GID)
	case "NoNewPrivs":
		s.NoNew = p.parse(name, v, 10) != 0
	case "Seccomp":
		s.Seccomp = int(p.parse(name, v, 10))
	case "CapInh":
		s.CapInh = p.parse(name, v, 16)
	case "CapPrm":
		s.CapPrm = p.parse(name, v, 16)
	case "CapEff":
		s.CapEff = p.parse(name, v, 16)
	case "CapBnd":
		s.CapBnd = p.parse(name, v, 16)
	case "CapAmb":
		s.CapAmb = p.parse(name, v, 16)
	case "SigPnd":
		s.SigPnd = p.parse(name, v, 16)
	case "ShdPnd":
		s.ShdPnd = p.parse(name, v, 16)
	case "SigBlk":
		s.SigBlk = p.parse(name, v, 16)
	case "SigIgn":
		s.SigIgn = p.parse(name, v, 16)
	case "SigCgt":
		s.SigCgt = p.parse(name, v, 16)
	default:
		return false
	}
	return true
}

func (p *statusParser) parse(name string, text []byte, base int) uint64 {
	v, err := strconv.ParseUint(string(text), base, 64)
	if err != nil && p.err == nil {
		p.err = fmt.Errorf("status: %s: %w", name, err)
	}
	return v
}

func (p *statusParser) four(name string, v []byte, to *[4]uint32) {
	f := bytes.Fields(v)
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
