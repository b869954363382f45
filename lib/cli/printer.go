package cli

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// Printer writes lines for people, and keeps the first error. Whatever an image
// has for names, a line stays one line, and does nothing to a terminal.
type Printer struct {
	w   *bufio.Writer
	err error
}

// NewPrinter writes to w, once Flush is called.
func NewPrinter(w io.Writer) *Printer { return &Printer{w: bufio.NewWriter(w)} }

// maxLine is more bytes than a line with two paths has, escaped or not.
const maxLine = 16 << 10

// Line writes one line.
func (p *Printer) Line(format string, args ...any) {
	if p.err != nil {
		return
	}
	s := strings.TrimRight(fmt.Sprintf(format, args...), " ")
	if len(s) > maxLine {
		s = s[:maxLine] + "..."
	}
	_, p.err = p.w.WriteString(Escape(s) + "\n")
}

// Flush writes what is left, and returns the first error.
func (p *Printer) Flush() error {
	if p.err == nil {
		p.err = p.w.Flush()
	}
	return p.err
}
