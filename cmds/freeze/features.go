package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"floe/lib/kabi"
)

// features lists what the running kernel has.
func features(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "HERE\tSINCE\tFEATURE\tFOR")
	lacks := ""
	for _, f := range kabi.Features() {
		here, since, what := "yes", "-", f.For
		if f.Since != "" {
			since = f.Since
		}
		if f.Must {
			what += " (needed)"
		}
		if !f.Here() {
			here = "no"
			if f.Must && lacks == "" {
				lacks = f.Name
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", here, since, f.Name, what)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if lacks != "" {
		return fmt.Errorf("this kernel lacks %s; floe can't work on it", lacks)
	}
	return nil
}
