package cli

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// packageComment takes the comment that stands before "package" out of a Go
// file.
func packageComment(source string) string {
	var b strings.Builder
	for line := range strings.Lines(source) {
		text, ok := strings.CutPrefix(line, "//")
		if !ok {
			break
		}
		b.WriteString(strings.TrimPrefix(text, " "))
	}
	return strings.TrimSpace(b.String())
}

// WriteMan writes a manual page from a program's manual and its flags.
func WriteMan(w io.Writer, name, manual string, model *kong.Application) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, ".TH %s 1\n.SH NAME\n", strings.ToUpper(name))
	for i, line := range strings.Split(manual, "\n") {
		switch {
		case i == 0:
			fmt.Fprintf(b, "%s \\- %s\n", name, roff(strings.TrimPrefix(line, name+" ")))
		case strings.HasPrefix(line, "# "):
			fmt.Fprintf(b, ".SH %s\n", strings.ToUpper(roff(line[2:])))
		case strings.HasPrefix(line, "\t"):
			fmt.Fprintf(b, ".nf\n    %s\n.fi\n", roff(line[1:]))
		case line == "":
			fmt.Fprintln(b, ".PP")
		default:
			fmt.Fprintln(b, roff(line))
		}
	}
	fmt.Fprintln(b, ".SH OPTIONS")
	for _, f := range model.Flags {
		fmt.Fprintf(b, ".TP\n.B %s\n%s\n", roff(f.String()), roff(f.Help))
	}
	return b.Flush()
}

func roff(s string) string {
	s = strings.ReplaceAll(s, `\`, `\e`)
	s = strings.ReplaceAll(s, "-", `\-`)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}
