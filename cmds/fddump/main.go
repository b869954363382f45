// fddump adds what a frozen tree has open to its stream.
//
// # Synopsis
//
//	... | vdsoprobe | fddump [-o FILE] | pagedump
//
// # Description
//
// fddump reads a stream on standard input, passes it on, and adds a record for
// every descriptor of the tree and for every open file description behind
// them: regular files, directories and O_PATH handles with their offset and
// flags; character devices such as /dev/null; pipes and fifos with the bytes in
// them; eventfds, epolls, timerfds, signalfds and pidfds; the locks held on files; the
// working and root directories. Descriptors that share a description (dup,
// fork) or a table (CLONE_FILES) share it again after the restore. Nothing is
// consumed or changed, and nothing is traced.
//
// The terminal of the tree, and the pipes and sockets that are its standard
// input, output or error and lead out of it, are the caller's: restore gives
// its own standard descriptors for them.
//
// Anything else is refused by name: the task, the number of the descriptor,
// and what it is; the tree runs on. With --verbose all that is refused is
// told, not only the first.
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
//	freeze 1234 | vmadump | fddump | imgcat
//	freeze 1234 | fddump --verbose > /dev/null    what would be refused?
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
	cli.Main("fddump", manual, &f, func(ctx context.Context, log *cli.Logger) error {
		return dump.Fddump(ctx, dump.Ends{In: os.Stdin, Out: os.Stdout, Log: log, File: f.Output})
	})
}
