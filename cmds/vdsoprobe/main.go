// vdsoprobe records the vDSO of a frozen tree, or shows and compares vDSOs.
//
// # Synopsis
//
//	freeze PID | vmadump | vdsoprobe | ...
//	vdsoprobe [--json] [--pid N] [--extract FILE]
//	vdsoprobe --compare IMAGE [IMAGE2] [--json]
//
// # Description
//
// With a stream on standard input vdsoprobe is a stage: it passes the stream on
// and adds a record of each address space's vDSO: the areas that belong to it,
// its symbols, its build-id and its bytes.
//
// With a terminal or /dev/null there, it prints the areas and symbols of this
// kernel's vDSO, or of process N's with --pid. --extract writes the bytes to a
// file, for objdump -d and the like.
//
// --compare tells, symbol by symbol, what restore would do with the vDSO of
// IMAGE on this kernel (or on that of IMAGE2), and says the verdict: in place,
// proxy, or impossible.
//
// # Exit status
//
//	0  done; with --compare: the same
//	1  failed; with --compare: different
//	2  usage; with --compare: any trouble
//	3  the input is damaged, incomplete, or no stream
//
// # Examples
//
//	vdsoprobe --compare img
//	vdsoprobe --extract vdso.so && objdump -d vdso.so
package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"

	"floe/lib/cli"
)

//go:embed main.go
var manual string

type flags struct {
	PID     int      `name:"pid" placeholder:"N" help:"Show process N's vDSO."`
	Compare []string `placeholder:"IMAGE" sep:"none" help:"Compare an image's vDSO with this kernel's."`
	Extract string   `placeholder:"FILE" help:"Write the vDSO's bytes to FILE."`
	JSON    bool     `name:"json" help:"Print JSON."`
	Image   string   `arg:"" optional:"" help:"With --compare: the second image."`
}

func main() {
	var f flags
	cli.Main("vdsoprobe", manual, &f, func(ctx context.Context, log *cli.Logger) error {
		switch {
		case len(f.Compare) > 1:
			return cli.Usage(fmt.Errorf("--compare takes one image; the second is an argument"))
		case len(f.Compare) == 1:
			return compare(os.Stdout, f.Compare[0], f.Image, f.JSON)
		case f.Image != "":
			return cli.Usage(fmt.Errorf("unexpected argument %s", f.Image))
		case f.PID != 0 || f.Extract != "" || f.JSON || !isStream(os.Stdin):
			return show(os.Stdout, f)
		}
		return filter(ctx, os.Stdin, os.Stdout, log)
	})
}
