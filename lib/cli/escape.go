package cli

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Escape makes text that a terminal shows and does not obey, whatever names of
// tasks and files there are in it: control characters, what changes the
// direction of writing, and bytes that are not UTF-8 become \x1b or \u202e. A
// backslash stays as it is.
func Escape(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return r == utf8.RuneError || !shows(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case shows(r):
			b.WriteRune(r)
		case r < utf8.RuneSelf:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		i += n
	}
	return b.String()
}

// shows tells whether a terminal does nothing with a character but to show it.
func shows(r rune) bool { return unicode.IsGraphic(r) }

// EscapeJSON does the same to a document of encoding/json, which escapes only
// the control characters of ASCII: all others are within strings.
func EscapeJSON(doc []byte) []byte {
	if bytes.IndexFunc(doc, hidden) < 0 {
		return doc
	}
	var b bytes.Buffer
	for _, r := range string(doc) {
		switch {
		case !hidden(r):
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.Bytes()
}

func hidden(r rune) bool { return r >= 0x7f && !shows(r) }
