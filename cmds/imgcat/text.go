package main

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// printer writes lines, and keeps the first error. Whatever an image has for
// names, a line stays one line, and does nothing to a terminal.
type printer struct {
	w   *bufio.Writer
	err error
}

func newPrinter(w io.Writer) *printer { return &printer{w: bufio.NewWriter(w)} }

// maxLine is more bytes than a line with two paths has, escaped or not.
const maxLine = 16 << 10

// line writes one line.
func (p *printer) line(format string, args ...any) {
	if p.err != nil {
		return
	}
	s := strings.TrimRight(fmt.Sprintf(format, args...), " ")
	if len(s) > maxLine {
		s = s[:maxLine] + "..."
	}
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\ufffd"):
			fmt.Fprintf(p.w, `\x%02x`, s[i])
		case unicode.IsPrint(r):
			p.w.WriteRune(r)
		default:
			p.w.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	p.err = p.w.WriteByte('\n')
}

func (p *printer) flush() error {
	if p.err == nil {
		p.err = p.w.Flush()
	}
	return p.err
}

// human is a number of bytes with three digits or so.
func human(n uint64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, u := float64(n)/1024, 0
	for v >= 1024 && u < len(units)-1 {
		v, u = v/1024, u+1
	}
	digits := 0
	if v < 100 {
		digits = 1
	}
	return strings.TrimSuffix(strconv.FormatFloat(v, 'f', digits, 64), ".0") + " " + units[u:u+1] + "iB"
}

// count is a number with its noun: "1 task", "2 tasks".
func count[N int | uint64](n N, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
