package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"

	"github.com/alecthomas/kong"
	"golang.org/x/sys/unix"

	_ "floe/lib/calm"
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

// What keeps a program small: a long run stays far below 64 MiB, and one that has
// more to keep takes a quarter more than that. From 40 MiB on it has three
// quarters: with less room the collector runs, all of what is kept over, for each
// few tasks, and the time goes with the square of their number.
const (
	memoryLimit = 44 << 20 // bytes
	room        = 8 << 20  // bytes: the runtime's own, and what is not in use of a page
	plenty      = 40 << 20 // bytes in use from which on there is more room
	gcPercent   = 400
	// Of much, twice as much: a limit alone is too late, since the runtime lets a
	// program outgrow it rather than give the collector half of its time.
	gcMuch = 100
	much   = 8 << 20 // bytes in use
)

// keepSmall sets the limits once the first collection of garbage shows that
// this is no short run: to set them stops the world twice. Each later collection
// raises the limit where what is in use comes near to it: the collector would do
// nothing but run.
func keepSmall() {
	limit, percent := int64(0), 0
	var collected func(*[64]byte)
	collected = func(*[64]byte) {
		use := inUse()
		switch {
		case use > much && percent != gcMuch:
			percent = gcMuch
			debug.SetGCPercent(percent)
		case percent == 0:
			percent = gcPercent
			debug.SetGCPercent(percent)
		}
		if want := limitFor(use); want > limit {
			limit = want
			debug.SetMemoryLimit(limit)
		}
		runtime.SetFinalizer(new([64]byte), collected)
	}
	runtime.SetFinalizer(new([64]byte), collected)
}

// limitFor is the limit for what is in use, bytes.
func limitFor(use int64) int64 {
	return max(memoryLimit, use*5/4+room) + max(0, use-plenty)/2
}

// inUse is what the last collection has left, bytes.
func inUse() int64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	if s[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return int64(s[0].Value.Uint64())
}

// Main runs a program: parses its flags into flags (a pointer to a kong
// struct), runs run, prints its error and exits with its status. source is the
// program's main.go, whose package comment is the manual.
func Main(name, source string, flags any, run func(context.Context, *Logger) error) {
	keepSmall()
	signal.Ignore(unix.SIGPIPE)
	log := NewLogger(os.Stderr, name)
	err := parseAndRun(name, source, flags, os.Args[1:], log, run)
	if err != nil && !silent(err) {
		log.Errorf("%v", err)
	}
	os.Exit(Status(err))
}

// silent tells whether an error is nothing but a status.
func silent(err error) bool {
	var e *ExitError
	return errors.As(err, &e) && e.Err == nil
}

func parseAndRun(name, source string, flags any, args []string, log *Logger, run func(context.Context, *Logger) error) error {
	var c common
	if parsePlain(args, flags, &c) {
		log.Verbose, log.Quiet = c.Verbose, c.Quiet
		return start(log, run)
	}
	m := parseManual(source)
	p, err := kong.New(flags, kong.Name(name), kong.Description(m.help()), kong.Embed(&c), kong.Vars{"version": name + " " + Version},
		kong.ConfigureHelp(kong.HelpOptions{NoAppDescFormat: true}))
	if err != nil {
		return fmt.Errorf("flags: %w", err)
	}
	if wantsMan(args) {
		return m.writeMan(os.Stdout, name, p.Model)
	}
	if _, err := p.Parse(args); err != nil {
		return Usage(fmt.Errorf("%w; see %s --help", err, name))
	}
	log.Verbose, log.Quiet = c.Verbose, c.Quiet
	return start(log, run)
}

func start(log *Logger, run func(context.Context, *Logger) error) error {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	return run(ctx, log)
}

// wantsMan finds --man where it is a flag: before the arguments of a command,
// and without those that the program else insists on.
func wantsMan(args []string) bool {
	if i := slices.Index(args, "--"); i >= 0 {
		args = args[:i]
	}
	return slices.Contains(args, "--man")
}
