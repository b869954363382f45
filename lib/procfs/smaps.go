package procfs

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Mapping is one entry of /proc/PID/smaps or maps.
type Mapping struct {
	Start, End uint64
	Read       bool
	Write      bool
	Exec       bool
	Shared     bool
	Offset     uint64 // bytes
	Major      uint32 // of the device
	Minor      uint32
	Inode      uint64
	// Name is what stands last: a path as it is (octal escapes undone), or
	// "[heap]" and the like. " (deleted)" is part of it.
	Name    string
	VmFlags []string          // the two-letter flags; smaps only
	PKey    int               // ProtectionKey
	Fields  map[string]string // the other lines of smaps that floe looks at
}

// smapsFields are the lines that Mapping.Fields keeps.
var smapsFields = map[string]bool{"AnonHugePages": false, "THPeligible": false}

// ParseMappings parses smaps or maps. A line that is neither an entry's head
// nor "Name: value" is an error.
func ParseMappings(r io.Reader) ([]Mapping, error) {
	var out []Mapping
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 16<<10), 1<<20)
	for s.Scan() {
		line := s.Bytes()
		colon := bytes.IndexByte(line, ':')
		space := bytes.IndexByte(line, ' ')
		if colon > 0 && (space < 0 || colon < space) {
			if len(out) == 0 {
				return nil, fmt.Errorf("smaps: %q before any mapping", line)
			}
			if err := out[len(out)-1].field(string(line[:colon]), line[colon+1:]); err != nil {
				return nil, err
			}
			continue
		}
		m, err := parseHead(string(line))
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, s.Err()
}

func (m *Mapping) field(name string, value []byte) error {
	switch {
	case name == "VmFlags":
		m.VmFlags = strings.Fields(string(value))
	case name == "ProtectionKey":
		n, err := strconv.Atoi(string(bytes.TrimSpace(value)))
		if err != nil {
			return fmt.Errorf("smaps: %s:%s", name, value)
		}
		m.PKey = n
	case smapsFields[name]:
		if m.Fields == nil {
			m.Fields = map[string]string{}
		}
		m.Fields[name] = string(bytes.TrimSpace(value))
	}
	return nil
}

// parseHead parses "start-end perms offset major:minor inode   name".
func parseHead(line string) (m Mapping, err error) {
	bad := func() (Mapping, error) { return Mapping{}, fmt.Errorf("maps: line %q", line) }
	f := strings.SplitN(line, " ", 6)
	if len(f) < 5 || len(f[1]) != 4 {
		return bad()
	}
	from, to, ok := strings.Cut(f[0], "-")
	major, minor, ok2 := strings.Cut(f[3], ":")
	if !ok || !ok2 {
		return bad()
	}
	for _, n := range []struct {
		text string
		base int
		bits int
		to   func(uint64)
	}{
		{from, 16, 64, func(v uint64) { m.Start = v }}, {to, 16, 64, func(v uint64) { m.End = v }},
		{f[2], 16, 64, func(v uint64) { m.Offset = v }}, {major, 16, 32, func(v uint64) { m.Major = uint32(v) }},
		{minor, 16, 32, func(v uint64) { m.Minor = uint32(v) }}, {f[4], 10, 64, func(v uint64) { m.Inode = v }},
	} {
		v, err := strconv.ParseUint(n.text, n.base, n.bits)
		if err != nil {
			return bad()
		}
		n.to(v)
	}
	if m.Start >= m.End {
		return bad()
	}
	m.Read, m.Write, m.Exec, m.Shared = f[1][0] == 'r', f[1][1] == 'w', f[1][2] == 'x', f[1][3] == 's'
	if len(f) == 6 {
		m.Name = unescape(strings.TrimLeft(f[5], " "))
	}
	return m, nil
}

// unescape undoes the octal escapes that the kernel writes for a newline.
func unescape(s string) string { return strings.ReplaceAll(s, `\012`, "\n") }
