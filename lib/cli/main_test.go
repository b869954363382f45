package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

const testManual = `// demo shows what
// a manual is.
//
// # Synopsis
//
//	demo [--size N] FILE
//
// # Description
//
// demo reads -FILE.
//
// 'quoted' line.
//
// # Exit status
//
//	0  done
package main

// not this
`

// TestMain lets the test binary be a program of its own: see program.
func TestMain(m *testing.M) {
	if os.Getenv("FLOE_TEST_PROGRAM") == "" {
		os.Exit(m.Run())
	}
	var flags struct {
		Size int    `help:"A size." default:"3"`
		Fail string `help:"How to fail."`
		File string `arg:"" help:"A file."`
	}
	Main("demo", testManual, &flags, func(_ context.Context, log *Logger) error {
		log.Verbosef("size %d", flags.Size)
		log.Warnf("warned")
		switch flags.Fail {
		case "work":
			return errors.New("it failed:\nwhy")
		case "input":
			return fmt.Errorf("wrapped: %w", BadInput(errors.New("not a stream")))
		case "status":
			return &ExitError{Code: 77}
		case "pipe":
			_, err := os.Stdout.Write([]byte("x"))
			return err
		}
		fmt.Println("ran")
		return nil
	})
}

func program(args ...string) *exec.Cmd {
	c := exec.Command("/proc/self/exe", args...)
	c.Env = append(os.Environ(), "FLOE_TEST_PROGRAM=1")
	return c
}

func TestMainStatus(t *testing.T) {
	for _, test := range []struct {
		args           []string
		status         int
		stdout, stderr string
	}{
		{[]string{"f"}, 0, "ran\n", "demo: warned\n"},
		{[]string{"-q", "f"}, 0, "ran\n", ""},
		{[]string{"--verbose", "f"}, 0, "ran\n", "demo: size 3\ndemo: warned\n"},
		{[]string{"-q", "--fail=work", "f"}, 1, "", "demo: it failed:; why\n"},
		{[]string{"-q", "--fail=input", "f"}, 3, "", "demo: wrapped: not a stream\n"},
		{[]string{"-q", "--fail=status", "f"}, 77, "", ""},
		{[]string{"--nonsense"}, 2, "", "demo: unknown flag --nonsense; see demo --help\n"},
		{[]string{}, 2, "", "demo: expected \"<file>\"; see demo --help\n"},
		{[]string{"--size=x", "f"}, 2, "", "demo: --size: expected a valid 64 bit int but got \"x\"; see demo --help\n"},
		{[]string{"--version"}, 0, "demo devel\n", ""},
	} {
		var out, errs bytes.Buffer
		c := program(test.args...)
		c.Stdout, c.Stderr = &out, &errs
		_ = c.Run()
		if c.ProcessState.ExitCode() != test.status || out.String() != test.stdout || errs.String() != test.stderr {
			t.Errorf("%q: status %d, stdout %q, stderr %q; want %d, %q, %q", test.args, c.ProcessState.ExitCode(), out.String(), errs.String(), test.status, test.stdout, test.stderr)
		}
	}
}

// A program writes to a pipe that nobody reads: an error, not a signal.
func TestMainBrokenPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	var errs bytes.Buffer
	c := program("-q", "--fail=pipe", "f")
	c.Stdout, c.Stderr = w, &errs
	_ = c.Run()
	if c.ProcessState.ExitCode() != 1 || !strings.Contains(errs.String(), "broken pipe") {
		t.Errorf("%v, %q", c.ProcessState, errs.String())
	}
}

func TestHelp(t *testing.T) {
	out, err := program("--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Usage: demo <file> [flags]\n\nShows what a manual is.\n\nSynopsis:\n    demo [--size N] FILE\n", "\nDescription:\n  demo reads -FILE.\n\n  'quoted' line.\n", "\n      --size=3 "} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.Contains(string(out), "not this") {
		t.Errorf("help goes past the package comment:\n%s", out)
	}
}

func TestMan(t *testing.T) {
	out, err := program("--man").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		".SH NAME\ndemo \\- shows what a manual is\n",
		".SH SYNOPSIS\n.RS 4\n.nf\ndemo [\\-\\-size N] FILE\n.fi\n.RE\n",
		".SH DESCRIPTION\ndemo reads \\-FILE.\n.PP\n\\&'quoted' line.\n.SH OPTIONS\n",
		".TP\n.I FILE\nA file.\n",
		".B \\-\\-size=3\nA size.\n",
		".SH EXIT STATUS\n.RS 4\n.nf\n0  done\n.fi\n.RE\n.SH SEE ALSO\n",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestWantsMan(t *testing.T) {
	for _, test := range []struct {
		args string
		want bool
	}{{"--man", true}, {"-q --man", true}, {"1 -- man --man", false}, {"", false}} {
		if got := wantsMan(strings.Fields(test.args)); got != test.want {
			t.Errorf("%q: %v", test.args, got)
		}
	}
}

func TestStatus(t *testing.T) {
	for _, test := range []struct {
		err  error
		want int
	}{
		{nil, 0}, {errors.New("x"), 1}, {Usage(errors.New("x")), 2}, {BadInput(errors.New("x")), 3},
		{fmt.Errorf("x: %w", &ExitError{Code: 130}), 130}, {errors.Join(errors.New("x"), BadInput(errors.New("y"))), 3},
	} {
		if got := Status(test.err); got != test.want {
			t.Errorf("%v: %d, want %d", test.err, got, test.want)
		}
	}
}
