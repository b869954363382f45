package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// pidfile is written before the tree is let go, under another name, so that
// hardly anything can fail afterwards: nobody sees a pid whose task does not run.
type pidfile struct{ name, temporary string }

func newPidfile(name string, pid int32) (*pidfile, error) {
	p := &pidfile{name: name}
	if name == "" {
		return p, nil
	}
	if st, err := os.Stat(name); err == nil && !st.Mode().IsRegular() {
		return p, nil // a fifo, say: to be written to in its place
	} else if err == nil {
		if name, err = filepath.EvalSymlinks(name); err != nil {
			return nil, err
		}
		p.name = name
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".restore-pid-")
	if err != nil {
		return nil, fmt.Errorf("pid file: %w", err)
	}
	p.temporary = f.Name()
	_, err = fmt.Fprintln(f, pid)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		p.drop()
		return nil, fmt.Errorf("pid file: %w", err)
	}
	return p, nil
}

// show gives the file its name.
func (p *pidfile) show(pid int32) error {
	switch {
	case p.name == "":
		return nil
	case p.temporary == "":
		return os.WriteFile(p.name, fmt.Appendln(nil, pid), 0o644)
	}
	err := os.Rename(p.temporary, p.name)
	if err == nil {
		p.temporary = ""
	}
	return err
}

// drop removes what has not been shown.
func (p *pidfile) drop() {
	if p.temporary != "" {
		os.Remove(p.temporary)
	}
}
