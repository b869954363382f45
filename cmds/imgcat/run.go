package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"floe/lib/cli"
)

// run opens the image and picks the way to show it.
func run(f *flags, in *os.File, out io.Writer, log *cli.Logger) error {
	name := "standard input"
	if f.File != "" && f.File != "-" {
		file, err := os.Open(f.File)
		if err != nil {
			return err
		}
		in, name = file, f.File
	}
	defer in.Close()
	if cli.IsTerminal(in) {
		return cli.Usage(fmt.Errorf("%s is a terminal; give imgcat an image: imgcat FILE", name))
	}
	s := newSource(in, name)
	switch {
	case f.JSON:
		return export(s, out)
	case f.Verify:
		return verify(s, out, log)
	}
	return show(s, out)
}

// show prints the table. Of a stream that is not whole it prints what is there,
// and then fails.
func show(s *source, out io.Writer) error {
	s.keep = true
	t := newTally()
	err := s.judge(s.each(func(f frame) error { return t.add(s.im, f) }))
	if err == nil {
		err = s.references(s.im.Validate())
	}
	// Who reads the table may take long; a tree behind a stage shall not wait.
	s.f.Close()
	if s.im.Header == nil {
		return err
	}
	p := cli.NewPrinter(out)
	printTable(p, s, t)
	if failed := p.Flush(); err == nil {
		err = outputError(failed)
	}
	return err
}

// outputError is the error for a failed write: none that is printed when
// whoever read the output has seen enough.
func outputError(err error) error {
	if errors.Is(err, unix.EPIPE) {
		return &cli.ExitError{Code: cli.StatusFailed}
	}
	return err
}
