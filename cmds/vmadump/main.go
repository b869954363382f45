// vmadump adds the memory maps of a frozen tree to its stream.
//
// # Synopsis
//
//	freeze PID | vmadump [-o FILE] | ...
//
// # Description
//
// vmadump reads the stream of freeze on standard input, passes it on, and adds
// a record for every address space of the tree, every mapping in it, and every
// file behind a mapping: what is mapped where, how, and with which advice, but
// not what is in it (that is pagedump's).
//
// Mappings of a kind that can't be restored yet are refused by name, with the
// address and what can be done about it; the tree runs on.
//
// # Exit status
//
//	0  done
//	1  refused or failed; the tree runs on
//	2  usage
//	3  the input is damaged, incomplete, or no stream
//
// # Examples
//
//	freeze 1234 | vmadump | imgcat
//	freeze 1234 | vmadump -o maps.floe
package main

import (
	"context"
	_ "embed"
	"os"

	"floe/lib/cli"
	"floe/lib/dump"
)

//go:embed main.go
var manual string

type flags struct {
	Output string `short:"o" placeholder:"FILE" help:"Write the stream to FILE; see pagedump."`
}

func main() {
	var f flags
	cli.Main("vmadump", manual, &f, func(ctx context.Context, log *cli.Logger) error {
		return dump.Vmadump(ctx, dump.Ends{In: os.Stdin, Out: os.Stdout, Log: log, File: f.Output})
	})
}
