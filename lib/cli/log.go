package cli

import (
	"fmt"
	"io"
	"strings"
	"sync"
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

// oneLine makes a message one line that does nothing to a terminal.
func oneLine(s string) string { return Escape(strings.ReplaceAll(s, "\n", "; ")) }
