package shapes

import (
	"os"
	"strconv"
	"strings"
)

// mapping is one of smaps, or several alike that touch.
type mapping struct {
	from, to      uint64
	access        string
	at            uint64 // offset in the file
	device, inode string
	path          string
	flags         string
}

func (m *mapping) where() string {
	return strconv.FormatUint(m.from, 16) + "-" + strconv.FormatUint(m.to, 16)
}

func (m *mapping) offset() string  { return strconv.FormatUint(m.at, 16) }
func (m *mapping) anonymous() bool { return m.inode == "0" }

// continues tells whether m and next could be one mapping.
func (m *mapping) continues(next *mapping) bool {
	return m.to == next.from && m.access == next.access && m.device == next.device && m.inode == next.inode &&
		m.path == next.path && m.flags == next.flags && (m.anonymous() || m.at+m.to-m.from == next.at)
}

// history are flags that tell what has been: soft-dirty, and that guard regions
// were made some time (those that are there are compared).
var history = strings.NewReplacer("sd ", "", "gu ", "")

// mappings parses smaps: heads and VmFlags.
func mappings(smaps []byte) (out []*mapping) {
	for _, l := range strings.Split(string(smaps), "\n") {
		if flags, ok := strings.CutPrefix(l, "VmFlags: "); ok {
			last := out[len(out)-1]
			last.flags = strings.TrimSpace(history.Replace(flags))
			if !strings.Contains(last.access, "w") {
				last.flags = strings.TrimSpace(strings.TrimSuffix(strings.Replace(last.flags+" ", " ac ", " ", 1), " "))
			}
			if n := len(out); n > 1 && out[n-2].continues(last) {
				out[n-2].to = last.to
				out = out[:n-1]
			}
			continue
		}
		f := strings.SplitN(l, " ", 6)
		if len(f) < 6 || strings.HasSuffix(f[0], ":") {
			continue
		}
		from, to, ok := strings.Cut(f[0], "-")
		if !ok {
			continue
		}
		m := &mapping{access: f[1], device: f[3], inode: f[4], path: strings.TrimSpace(f[5])}
		m.from, _ = strconv.ParseUint(from, 16, 64)
		m.to, _ = strconv.ParseUint(to, 16, 64)
		m.at, _ = strconv.ParseUint(f[2], 16, 64)
		out = append(out, m)
	}
	return out
}

// numbersIn are the names of a folder that are numbers.
func numbersIn(dir string) (out []int) {
	f, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer f.Close()
	names, _ := f.Readdirnames(-1)
	for _, s := range names {
		if n, err := strconv.Atoi(s); err == nil {
			out = append(out, n)
		}
	}
	return out
}
