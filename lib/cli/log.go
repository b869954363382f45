package cli

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Logger writes messages, one line each, after the program's name. It is safe
// for concurrent use.
type Logger struct {
	mu      sync.Mutex
	w       io.Writer
	name    string
	Verbose bool
	Quiet   bool
	live    *Progress // to be wiped before a message
}

// NewLogger writes to w for program name.
func NewLogger(w io.Writer, name string) *Logger { return &Logger{w: w, name: name} }

func (l *Logger) line(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.live != nil {
		l.live.wipe()
	}
	fmt.Fprintf(l.w, "%s: %s\n", l.name, oneLine(fmt.Sprintf(format, args...)))
}

// Errorf says why the program fails.
func (l *Logger) Errorf(format string, args ...any) { l.line(format, args...) }

// Warnf says what the user should know; not with -q.
func (l *Logger) Warnf(format string, args ...any) {
	if !l.Quiet {
		l.line(format, args...)
	}
}

// Verbosef says what is being done, with --verbose.
func (l *Logger) Verbosef(format string, args ...any) {
	if l.Verbose {
		l.line(format, args...)
	}
}

// oneLine makes a message one line that does nothing to a terminal, whatever
// file names and names of tasks there are in it.
func oneLine(s string) string {
	plain := func(r rune) bool { return r != utf8.RuneError && (r == ' ' || unicode.IsGraphic(r)) }
	if strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case plain(r):
			b.WriteRune(r)
		case r == '\n':
			b.WriteString("; ")
		case r == utf8.RuneError || r < utf8.RuneSelf:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
