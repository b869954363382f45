package cli

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// programs refer to each other.
var programs = []string{"freeze", "vmadump", "vdsoprobe", "fddump", "pagedump", "restore", "imgcat"}

// writeMan writes the manual page, man(7): the sections of the manual, with the
// flags after the description.
func (m *manual) writeMan(w io.Writer, name string, model *kong.Application) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, ".TH %s 1 \"\" \"floe %s\" \"floe\"\n.SH NAME\n%s \\- %s\n", strings.ToUpper(name), Version, name, roff(m.summary))
	options := false
	for _, s := range m.sections {
		if !options && strings.HasPrefix(s.title, "Exit") {
			writeOptions(b, model)
			options = true
		}
		if s.title != "" {
			fmt.Fprintf(b, ".SH %s\n", strings.ToUpper(roff(s.title)))
		}
		writeSection(b, s.lines)
	}
	if !options {
		writeOptions(b, model)
	}
	writeSeeAlso(b, name)
	return b.Flush()
}

func writeSection(b *bufio.Writer, lines []string) {
	asIs := false
	for _, line := range lines {
		text, tab := strings.CutPrefix(line, "\t")
		if tab != asIs && line != "" {
			fmt.Fprintln(b, map[bool]string{true: ".RS 4\n.nf", false: ".fi\n.RE"}[tab])
			asIs = tab
		}
		switch {
		case line != "":
			fmt.Fprintln(b, roff(text))
		case asIs:
			fmt.Fprintln(b)
		default:
			fmt.Fprintln(b, ".PP")
		}
	}
	if asIs {
		fmt.Fprintln(b, ".fi\n.RE")
	}
}

func writeOptions(b *bufio.Writer, model *kong.Application) {
	fmt.Fprintln(b, ".SH OPTIONS")
	for _, a := range model.Positional {
		fmt.Fprintf(b, ".TP\n.I %s\n%s\n", roff(strings.ToUpper(a.Name)), roff(a.Help))
	}
	for _, f := range model.Flags {
		if !f.Hidden {
			fmt.Fprintf(b, ".TP\n.B %s\n%s\n", roff(f.String()), roff(f.Help))
		}
	}
}

func writeSeeAlso(b *bufio.Writer, name string) {
	var others []string
	for _, p := range programs {
		if p != name {
			others = append(others, fmt.Sprintf("\\fB%s\\fR(1)", p))
		}
	}
	fmt.Fprintf(b, ".SH SEE ALSO\n%s\n", strings.Join(others, ", "))
}

// roff quotes text: backslashes, hyphens, and what would be a request.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}
