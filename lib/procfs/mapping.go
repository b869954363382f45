package procfs

import (
	"bytes"
	"fmt"
	"strings"
)

// Mapping is one entry of /proc/PID/maps or smaps.
type Mapping struct {
	Start, End uint64 // addresses; End is exclusive
	Read       bool
	Write      bool
	Exec       bool
	Shared     bool
	Offset     uint64 // bytes into the file
	Major      uint32 // of the file's device, as the filesystem has it; stat(2) may say another
	Minor      uint32
	Inode      uint64
	// Name is what stands last: a path, or "[heap]" and the like. A newline in
	// a path is one again, but a path that had `\012` in it reads the same, and
	// " (deleted)" is part of it as of a path that ends so: where it matters
	// map_files tells.
	Name string

	// Of smaps only.
	VmFlags []string // two letters each; shared between mappings, not to be changed
	PKey    int      // ProtectionKey
	Unknown []string // lines that floe has never heard of
}

// HasFile tells whether a file is behind the mapping. The inode alone doesn't:
// the first segment of System V shared memory has number 0.
func (m *Mapping) HasFile() bool {
	return m.Inode != 0 || m.Major != 0 || m.Minor != 0 || strings.HasPrefix(m.Name, "/")
}

// Has tells whether a VmFlag is set.
func (m *Mapping) Has(flag string) bool {
	for _, f := range m.VmFlags {
		if f == flag {
			return true
		}
	}
	return false
}

// head parses "start-end perms offset major:minor inode   name".
func (m *Mapping) head(line []byte, names intern) error {
	c := cursor{rest: line}
	m.Start = c.hex('-', 64)
	m.End = c.hex(' ', 64)
	perms := c.word(4)
	m.Offset = c.hex(' ', 64)
	m.Major = uint32(c.hex(':', 32))
	m.Minor = uint32(c.hex(' ', 32))
	m.Inode = c.decimal()
	if c.bad || m.Start >= m.End || (perms[3] != 'p' && perms[3] != 's') {
		return fmt.Errorf("maps: line %q", clip(line))
	}
	m.Read, m.Write, m.Exec, m.Shared = perms[0] == 'r', perms[1] == 'w', perms[2] == 'x', perms[3] == 's'
	m.Name = names.get(bytes.TrimLeft(c.rest, " "))
	return nil
}

// cursor takes fields off the front of a line.
type cursor struct {
	rest []byte
	bad  bool
}

// hex takes a hexadecimal number of at most bits bits that ends with end.
func (c *cursor) hex(end byte, bits int) (v uint64) {
	for i, b := range c.rest {
		switch {
		case b == end && i > 0 && i*4 <= bits:
			c.rest = c.rest[i+1:]
			return v
		case '0' <= b && b <= '9':
			v = v<<4 | uint64(b-'0')
		case 'a' <= b && b <= 'f':
			v = v<<4 | uint64(b-'a'+10)
		default:
			c.bad = true
			return 0
		}
	}
	c.bad = true
	return 0
}

// decimal takes a decimal number that ends with a space or the line.
func (c *cursor) decimal() (v uint64) {
	const most = (1<<64 - 1) / 10
	for i, b := range c.rest {
		if b == ' ' && i > 0 {
			c.rest = c.rest[i+1:]
			return v
		}
		d := uint64(b) - '0'
		if d > 9 || v > most || v == most && d > 5 {
			c.bad = true
			return 0
		}
		v = v*10 + d
	}
	c.bad = c.bad || len(c.rest) == 0
	c.rest = nil
	return v
}

// word takes n bytes and a space. It always gives n bytes.
func (c *cursor) word(n int) []byte {
	if len(c.rest) <= n || c.rest[n] != ' ' {
		c.bad = true
		return make([]byte, n)
	}
	w := c.rest[:n]
	c.rest = c.rest[n+1:]
	return w
}

// intern makes one string of each name, with its escapes undone: a process has
// few different ones.
type intern map[string]string

func (in intern) get(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	s, ok := in[string(b)]
	if !ok {
		s = unescape(string(b))
		in[string(b)] = s
	}
	return s
}

// unescape undoes the octal escape that the kernel writes for a newline, the
// only one in these files.
func unescape(s string) string { return strings.ReplaceAll(s, `\012`, "\n") }

// clip shortens a line for an error.
func clip(line []byte) []byte {
	const most = 200
	return line[:min(len(line), most)]
}
