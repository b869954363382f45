// Package badinput gives every program input that it can't work with, and
// wants one line that says so, the documented exit status, and little memory.
package badinput

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"

	"floe/lib/cli"
	"floe/tests/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// refusal is what a program said to its input.
type refusal struct {
	program string
	code    int
	line    string
}

// judge waits for a program that has to refuse its input, and checks how.
func judge(t *testing.T, program string, p *harness.Measured, codes ...int) refusal {
	t.Helper()
	e := p.Wait(t)
	text := strings.TrimSuffix(p.Stderr.String(), "\n")
	r := refusal{program, e.Code(), text}
	switch {
	case !slices.Contains(codes, r.code):
		t.Errorf("%s: %s, want %v: %s", program, e, codes, text)
	case strings.Contains(text, "\n") || !strings.HasPrefix(text, program+": "):
		t.Errorf("%s: not one line of its own:\n%s", program, text)
	case strings.Contains(text, "panic") || strings.Contains(text, "goroutine"):
		t.Errorf("%s panicked: %s", program, text)
	}
	if kib := p.Memory(t); kib > harness.MemoryLimit {
		t.Errorf("%s needed %d KiB of memory: %s", program, kib, text)
	}
	return r
}

// feed gives a program bytes through a pipe.
func feed(t *testing.T, program string, args []string, input []byte) *harness.Measured {
	t.Helper()
	return harness.StartMeasured(t, struct{ io.Reader }{bytes.NewReader(input)}, struct{ io.Writer }{io.Discard}, program, args...)
}

// The programs that read a stream.
var (
	stages  = []string{"vmadump", "vdsoprobe", "fddump", "pagedump"}
	readers = []reader{
		{"vmadump", nil}, {"vdsoprobe", nil}, {"fddump", nil}, {"pagedump", nil},
		{"restore", []string{"-d"}}, {"imgcat", nil}, {"imgcat", []string{"--json"}}, {"imgcat", []string{"--verify"}},
	}
)

type reader struct {
	program string
	args    []string
}

func (r reader) String() string { return strings.Join(append([]string{r.program}, r.args...), " ") }

// isStage tells whether it works on a frozen tree.
func (r reader) isStage() bool { return slices.Contains(stages, r.program) }

const (
	failed   = cli.StatusFailed
	usage    = cli.StatusUsage
	badInput = cli.StatusBadInput
)
