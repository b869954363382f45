package procfs

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"sync"
)

// maxLine bounds a line of maps, bytes: a path has 4096, and any of them may be
// an escaped newline.
const maxLine = 64 << 10

// statistics are the lines of smaps that say how much of a mapping is where, up
// to Linux 7.2. They say nothing of what it is.
var statistics = map[string]bool{
	"Size": true, "KernelPageSize": true, "MMUPageSize": true, "Rss": true, "Pss": true, "Pss_Dirty": true,
	"Shared_Clean": true, "Shared_Dirty": true, "Private_Clean": true, "Private_Dirty": true, "Referenced": true,
	"Anonymous": true, "KSM": true, "LazyFree": true, "AnonHugePages": true, "ShmemPmdMapped": true,
	"FilePmdMapped": true, "Shared_Hugetlb": true, "Private_Hugetlb": true, "Swap": true, "SwapPss": true,
	"Locked": true, "THPeligible": true,
}

// ParseMappings parses maps or smaps.
func ParseMappings(r io.Reader) ([]Mapping, error) {
	var out []Mapping
	for m, err := range Mappings(r) {
		if err != nil {
			return nil, err
		}
		out = append(out, *m)
	}
	return out, nil
}

// Mappings parses maps or smaps an entry at a time; each is good until the
// next. A line that is neither an entry's head nor "Name: value" is an error,
// which is the last thing it gives.
func Mappings(r io.Reader) iter.Seq2[*Mapping, error] {
	return func(yield func(*Mapping, error) bool) {
		in := buffers.Get().(*bufio.Reader)
		in.Reset(r)
		defer buffers.Put(in)
		p := &smapsParser{in: in, names: intern{}, flags: map[string][]string{}}
		for {
			m, err := p.next()
			if err == io.EOF {
				return
			}
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

// buffers have room for a line each: processes come by the thousand.
var buffers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, maxLine) }}

type smapsParser struct {
	in    *bufio.Reader
	head  []byte // of the next entry, good until the next read
	names intern
	flags map[string][]string // by the value of a VmFlags line
	m     Mapping
}

// next parses one entry; io.EOF: there is none.
func (p *smapsParser) next() (*Mapping, error) {
	head := p.head
	if head == nil {
		var err error
		if head, err = p.line(); err != nil {
			return nil, err
		}
	}
	p.m = Mapping{}
	if err := p.m.head(head, p.names); err != nil {
		return nil, err
	}
	for p.head = nil; ; {
		line, err := p.line()
		if err == io.EOF {
			return &p.m, nil
		} else if err != nil {
			return nil, err
		}
		if line[0] < 'A' || line[0] > 'Z' { // an address has small letters
			p.head = line
			return &p.m, nil
		}
		if err := p.field(line); err != nil {
			return nil, err
		}
	}
}

// line reads a line that is not empty, without its end.
func (p *smapsParser) line() ([]byte, error) {
	b, err := p.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, fmt.Errorf("maps: a line of more than %d bytes", maxLine)
	}
	if err != nil && (err != io.EOF || len(b) == 0) {
		return nil, err
	}
	b = bytes.TrimSuffix(b, []byte("\n"))
	if len(b) == 0 {
		return nil, fmt.Errorf("maps: an empty line")
	}
	return b, nil
}

// field parses "Name:   value".
func (p *smapsParser) field(line []byte) error {
	colon := bytes.IndexByte(line, ':')
	if colon < 0 {
		return fmt.Errorf("smaps: line %q", clip(line))
	}
	name, value := line[:colon], line[colon+1:]
	switch {
	case string(name) == "VmFlags":
		flags, ok := p.flags[string(value)]
		if !ok {
			flags = strings.Fields(string(value))
			p.flags[string(value)] = flags
		}
		p.m.VmFlags = flags
	case string(name) == "ProtectionKey":
		n, err := strconv.Atoi(string(bytes.TrimSpace(value)))
		if err != nil {
			return fmt.Errorf("smaps: line %q", clip(line))
		}
		p.m.PKey = n
	case !statistics[string(name)]:
		p.m.Unknown = append(p.m.Unknown, string(line))
	}
	return nil
}
