// imgcat shows, exports and verifies what is in an image.
//
// # Synopsis
//
//	imgcat [--json | --verify] [FILE]
//	freeze PID | vmadump | imgcat
//
// # Description
//
// imgcat reads an image from FILE, or from standard input, and prints a table
// for people: where and when it was made, the tree of tasks, the mappings of
// every address space with what is behind them and how much of them was saved,
// the vDSO, and the descriptors of every table. Control characters in names are
// escaped; a backslash is not.
//
// A stream that isn't whole is shown as far as it goes; then imgcat says what
// is missing and fails. So it may also stand behind any stage: the tree runs on
// once imgcat has read the stream.
//
// --json prints one line of JSON a record, in the order of the stream, for
// programs. It is the protobuf JSON of the Record of lib/record/record.proto,
// with payloadLen always and pad never: numbers of 64 bits are strings, bytes
// are base64. Payloads are not printed. Paths and names are text; a byte of one
// that is not UTF-8 becomes a lone surrogate, 0xe4 \udce4, from which Python's
// os.fsencode makes the byte again (jq shows a replacement character).
//
// --verify prints no table. It reads everything and checks all checksums, that
// what records say of each other is right, that all stages were there, that
// pages belong to mappings and compressed ones can be unpacked, and the index;
// then it prints one line, none with -q. Without --verify, pages in a regular
// file are not read: an image of any size is shown at once.
//
// # Exit status
//
//	0  the image is good, as far as it was looked at
//	1  it could not be read, or the output not be written
//	2  usage
//	3  the image is damaged, incomplete, or not an image
//
// # Examples
//
//	imgcat img | less
//	imgcat --verify -q img && restore img
//	imgcat --json img | jq -r '.task // empty | [.pid, .comm] | @tsv'
//	imgcat --json img | jq -r '.file.path // empty' | sort -u
package main

import (
	"context"
	_ "embed"
	"os"

	"floe/lib/cli"
)

//go:embed main.go
var manual string

type flags struct {
	JSON   bool   `name:"json" xor:"how" help:"Print one line of JSON a record."`
	Verify bool   `xor:"how" help:"Check everything, and print no table."`
	File   string `arg:"" optional:"" help:"The image; standard input without it, or for -."`
}

func main() {
	var f flags
	cli.Main("imgcat", manual, &f, func(_ context.Context, log *cli.Logger) error {
		return run(&f, os.Stdin, os.Stdout, log)
	})
}
