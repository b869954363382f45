package cli

import "strings"

// manual is a program's package comment: what --help and the manual page are
// made from. Its first sentence says what the program does; then come sections
// under "# " headings; lines that begin with a tab stand as they are.
type manual struct {
	summary  string // without the program's name
	sections []section
}

type section struct {
	title string // "" for text before the first heading
	lines []string
}

// parseManual takes the comment that stands before "package" out of a Go file.
func parseManual(source string) *manual {
	m := &manual{sections: []section{{}}}
	for line := range strings.Lines(source) {
		text, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "//")
		if !ok {
			break
		}
		text = strings.TrimPrefix(text, " ")
		last := &m.sections[len(m.sections)-1]
		title, heading := strings.CutPrefix(text, "# ")
		switch {
		case heading:
			m.sections = append(m.sections, section{title: title})
		case len(m.sections) == 1 && (m.summary == "" || !strings.HasSuffix(m.summary, ".")):
			m.summary = strings.TrimSpace(m.summary + " " + text)
		default:
			last.lines = append(last.lines, text)
		}
	}
	for i := range m.sections {
		m.sections[i].lines = trimBlank(m.sections[i].lines)
	}
	_, m.summary, _ = strings.Cut(m.summary, " ")
	m.summary = strings.TrimSuffix(m.summary, ".")
	return m
}

// trimBlank drops empty lines at both ends.
func trimBlank(lines []string) []string {
	for len(lines) > 0 && lines[0] == "" {
		lines = lines[1:]
	}
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// help is the manual as --help shows it.
func (m *manual) help() string {
	var b strings.Builder
	b.WriteString(strings.ToUpper(m.summary[:min(1, len(m.summary))]) + m.summary[min(1, len(m.summary)):] + ".\n")
	for _, s := range m.sections {
		if s.title != "" {
			b.WriteString("\n" + s.title + ":\n")
		}
		for _, line := range s.lines {
			if line != "" {
				b.WriteString("  " + strings.Replace(line, "\t", "  ", 1))
			}
			b.WriteString("\n")
		}
	}
	return strings.TrimRight(b.String(), "\n")
}
