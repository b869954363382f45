package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"

	"github.com/alecthomas/kong"
	"golang.org/x/sys/unix"
)

// Version is the tool's; the build sets it.
var Version = "devel"

// common are the flags of every program.
type common struct {
	Verbose bool             `help:"Say what is being done."`
	Quiet   bool             `short:"q" help:"Say nothing but errors."`
	Version kong.VersionFlag `help:"Print the version and exit."`
	Man     bool             `help:"Print the manual page (roff) and exit."`
}

// memoryLimit keeps a program's memory far below 64 MiB; bytes.
const memoryLimit = 40 << 20

// Main runs a program: parses its flags into flags (a pointer to a kong
// struct), runs run, prints its error and exits with its status. source is the
// program's main.go, whose package comment is the manual.
func Main(name, source string, flags any, run func(context.Context, *Logger) error) {
	debug.SetMemoryLimit(memoryLimit)
	signal.Ignore(unix.SIGPIPE)
	log := NewLogger(os.Stderr, name)
	err := parseAndRun(name, source, flags, log, run)
	var e *ExitError
	if err != nil && !(errors.As(err, &e) && e.Err == nil) {
		log.Errorf("%v", err)
	}
	os.Exit(Status(err))
}

func parseAndRun(name, source string, flags any, log *Logger, run func(context.Context, *Logger) error) error {
	manual := packageComment(source)
	var c common
	p, err := kong.New(flags, kong.Name(name), kong.Description(manual), kong.Embed(&c), kong.Vars{"version": name + " " + Version},
		kong.ConfigureHelp(kong.HelpOptions{NoExpandSubcommands: true}))
	if err != nil {
		return fmt.Errorf("flags: %w", err)
	}
	if len(os.Args) == 2 && os.Args[1] == "--man" {
		return WriteMan(os.Stdout, name, manual, p.Model)
	}
	if _, err := p.Parse(os.Args[1:]); err != nil {
		return Usage(fmt.Errorf("%w; see %s --help", err, name))
	}
	log.Verbose, log.Quiet = c.Verbose, c.Quiet
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	return run(ctx, log)
}
