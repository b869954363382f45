package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestEscape(t *testing.T) {
	for in, want := range map[string]string{
		"":                       "",
		`plain é 漢 \x1b`:         `plain é 漢 \x1b`,
		"\x1b]0;owned\a":         `\x1b]0;owned\x07`,
		"\x9b31m\xff":            `\x9b31m\xff`, // no UTF-8: a terminal may take it for CSI
		"\u009b31m":              `\u009b31m`,
		"a\tb\r\nc\x7f":          `a\x09b\x0d\x0ac\x7f`,
		"\u202eabc\u2066":        `\u202eabc\u2066`,
		"\ufeff\u200b\U000e0041": `\ufeff\u200b\U000e0041`,
		"\ufffd kept":            "\ufffd kept",
		"cut \xe6\xbc":           `cut \xe6\xbc`,
	} {
		if got := Escape(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

// A document says the same after it.
func TestEscapeJSON(t *testing.T) {
	for _, s := range []string{"plain é", "\u009b\x7f\u202e\U000e0041\U0001f600", "\x1b\n\"\\"} {
		doc, err := json.MarshalIndent(map[string]string{s: s}, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		got := EscapeJSON(doc)
		if plain := strings.ReplaceAll(string(got), "\n", ""); Escape(plain) != plain {
			t.Errorf("%q", got)
		}
		var back map[string]string
		if err := json.Unmarshal(got, &back); err != nil || back[s] != s {
			t.Errorf("%q: %v, %q", got, err, back)
		}
	}
}

func TestPrinter(t *testing.T) {
	var b bytes.Buffer
	p := NewPrinter(&b)
	p.Line("%s|%d  ", "a\nb\x1b", 3)
	p.Line("%s", strings.Repeat("\x1b", 2*maxLine))
	if err := p.Flush(); err != nil {
		t.Fatal(err)
	}
	first, rest, _ := strings.Cut(b.String(), "\n")
	if first != `a\x0ab\x1b|3` || len(rest) != len(`\x1b`)*maxLine+len("...\n") || strings.Contains(rest, "\x1b") {
		t.Errorf("%q, then %d bytes", first, len(rest))
	}
}
