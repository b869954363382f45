// vdsoprobe records the vDSO of a frozen tree, or shows and compares vDSOs.
//
// # Synopsis
//
//	freeze PID | vmadump | vdsoprobe [-o FILE] | fddump | pagedump > img
//	vdsoprobe [--pid N] [--json] [--extract FILE]
//	vdsoprobe --compare IMAGE [IMAGE2] [--json]
//
// # Description
//
// The vDSO is the piece of a process that belongs to its kernel: code that the
// process calls, at addresses that it remembers, and data beside it.
//
// With a stream on standard input (a pipe, a socket or a file) and no options,
// vdsoprobe is a stage: it passes the stream on and adds one record of each
// address space's vDSO: the areas that belong to it, its symbols, its build-id
// and its bytes. A process that has changed its vDSO's code is refused.
//
// With a terminal or /dev/null there, or with an option, it works alone. It
// prints the areas and symbols of this kernel's vDSO, or of process N's with
// --pid, and says of a process whether its vDSO is this kernel's, and where it
// should be. --extract writes the bytes to a file that objdump(1) reads; the
// name - is standard output.
//
// --compare says, symbol by symbol, what restore would do with the vDSO of
// IMAGE on this kernel, or on the kernel that IMAGE2 comes from. The last line
// is the verdict:
//
//	in place                            the kernel's own takes its place
//	proxy: N redirected, M by syscall   the image's comes back, its N functions
//	                                    lead to this kernel's, and M functions
//	                                    that this kernel lacks make the call
//	impossible: WHY
//
// A function that appears under two names counts once. "K kept" counts functions
// that this kernel lacks and that need nothing of it.
//
// A process that was restored by proxy shows the vDSO that it had, and which of
// this kernel's areas it runs through.
//
// # Examples
//
//	vdsoprobe --compare img
//	vdsoprobe --compare img && restore < img
//	vdsoprobe --extract vdso.so && objdump -d vdso.so
//	vdsoprobe --json | jq -r '.symbols[].name'
//
// # Exit status
//
//	0  done; with --compare: in place
//	1  failed or refused; with --compare: by proxy, or impossible
//	2  usage; with --compare: any trouble
//	3  the input is damaged, incomplete, or no stream
package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"

	"floe/lib/cli"
	"floe/lib/dump"
)

//go:embed main.go
var manual string

type flags struct {
	PID     int    `name:"pid" placeholder:"N" help:"Show process N's vDSO."`
	Compare string `placeholder:"IMAGE" help:"Compare an image's vDSO with this kernel's."`
	Output  string `short:"o" placeholder:"FILE" help:"As a stage: write the stream to FILE; see pagedump."`
	Extract string `placeholder:"FILE" help:"Write the vDSO's bytes to FILE."`
	JSON    bool   `name:"json" help:"Print JSON."`
	Image2  string `arg:"" optional:"" help:"With --compare: the image of the other kernel."`
}

func main() {
	var f flags
	cli.Main("vdsoprobe", manual, &f, func(ctx context.Context, log *cli.Logger) error {
		return run(ctx, &f, os.Stdin, os.Stdout, log)
	})
}

// run picks the way to work.
func run(ctx context.Context, f *flags, in, out *os.File, log *cli.Logger) error {
	switch {
	case f.Compare != "" && (f.PID != 0 || f.Extract != ""):
		return cli.Usage(fmt.Errorf("--compare goes with neither --pid nor --extract"))
	case f.Output != "" && (f.Compare != "" || f.PID != 0 || f.Extract != "" || f.JSON || !isStream(in)):
		return cli.Usage(fmt.Errorf("-o is where a stage writes its stream, and there is none (--extract FILE writes a vDSO)"))
	case f.Compare != "":
		return compare(out, f)
	case f.Image2 != "":
		return cli.Usage(fmt.Errorf("unexpected argument %s; --compare takes images", f.Image2))
	case f.PID < 0:
		return cli.Usage(fmt.Errorf("--pid %d is no process", f.PID))
	case f.Extract != "":
		return extract(out, f)
	case f.PID != 0 || f.JSON || !isStream(in):
		return show(out, f)
	}
	return dump.Vdsoprobe(ctx, dump.Ends{In: in, Out: out, Log: log, File: f.Output})
}

// isStream tells whether a stage could stand before us. Terminals and /dev/null
// are devices.
func isStream(in *os.File) bool {
	st, err := in.Stat()
	return err == nil && (st.Mode().IsRegular() || st.Mode()&(os.ModeNamedPipe|os.ModeSocket) != 0)
}
