// Package job is what the tests of the kernel matrix and the program inside
// the guest tell each other, through memory that both see: a file on this
// side, a PCI device in a virtual machine. The first half goes in, the other
// comes out; each is a length and a tar archive, the first file of which is
// the job or the report.
package job

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Size of the memory, bytes; a power of two.
const Size = 256 << 20

// Leg is what happens to one process on one kernel: it is started or restored,
// runs for a while, and is dumped or killed.
type Leg struct {
	Name    string
	Program []string // command
	Env     []string
	Image   string // to be restored, instead of a command
	Lines   int    // how many more lines of "ok" are waited for
	Random  bool   // its first random bytes are asked for
	Quiet   bool   // it calls getrandom no more before it is dumped
	Dump    string // image to be made
	FirstID int    // ids of a command are above it
}

// Job is all that happens in one boot.
type Job struct {
	Legs     []Leg
	Bounding uint64 // capabilities that the processes may have
}

// Result is how a leg went.
type Result struct {
	Name   string
	Method string   // of restore: "in place" or "proxy"
	Failed string   // what went wrong; empty: nothing
	Lines  []string // what the process said
	Random []string // lines of it
	Said   string   // by floe's programs
	Took   time.Duration
	Dump   time.Duration
	Back   time.Duration // of restore
}

// Report is what a boot has brought.
type Report struct {
	Kernel  string
	Clock   string // source of the time
	Failed  string
	Results []Result
	Can     string        // what freeze --features says
	Up      time.Duration // when the guest began
	Took    time.Duration
}

// File is a file of an archive.
type File struct {
	Name string // without a leading slash
	Mode int64
	Time time.Time
	Link string // symbolic
	Data []byte
}

const lengthSize = 8

// Pack writes a value and files into half of the memory.
func Pack(half []byte, v any, files []File) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w := &window{b: half[lengthSize:]}
	t := tar.NewWriter(w)
	for _, f := range append([]File{{Name: "job.json", Mode: 0o644, Data: b}}, files...) {
		h := &tar.Header{Name: f.Name, Mode: f.Mode, Size: int64(len(f.Data)), ModTime: f.Time, Format: tar.FormatPAX}
		if f.Link != "" {
			h.Typeflag, h.Linkname = tar.TypeSymlink, f.Link
		}
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		if _, err := t.Write(f.Data); err != nil {
			return err
		}
	}
	if err := t.Close(); err != nil {
		return err
	}
	binary.LittleEndian.PutUint64(half, uint64(w.n))
	return nil
}

// window is memory to be written from its beginning.
type window struct {
	b []byte
	n int
}

func (w *window) Write(p []byte) (int, error) {
	if len(p) > len(w.b)-w.n {
		return 0, fmt.Errorf("the archive does not fit into %d bytes", len(w.b))
	}
	w.n += copy(w.b[w.n:], p)
	return len(p), nil
}

// Unpack reads it.
func Unpack(half []byte, v any, file func(File) error) error {
	n := binary.LittleEndian.Uint64(half)
	if n == 0 || n > uint64(len(half)-lengthSize) {
		return fmt.Errorf("no archive: length %d", n)
	}
	t := tar.NewReader(bytes.NewReader(half[lengthSize : lengthSize+n]))
	for first := true; ; first = false {
		h, err := t.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		b := make([]byte, h.Size)
		if _, err := io.ReadFull(t, b); err != nil {
			return err
		}
		if first {
			err = json.Unmarshal(b, v)
		} else {
			err = file(File{Name: h.Name, Mode: h.Mode, Time: h.ModTime, Link: h.Linkname, Data: b})
		}
		if err != nil {
			return err
		}
	}
}
