// restore brings a checkpointed process tree back.
//
// # Synopsis
//
//	restore [-d] [--pidfile FILE] [--force-files] [--vdso MODE] [--clocks HOW] [--cgroups HOW] [--inherit NAME] [IMAGE]
//	restore --check [--force-files] [--vdso MODE] [--clocks HOW] [--cgroups HOW] [IMAGE]
//
// # Description
//
// restore reads an image from IMAGE or from standard input, makes the process
// tree that it describes, with the process ids that it had, and lets it go. A
// regular file is read directly; from a pipe the pages of the tree are taken as
// they come, and never kept.
//
// Nothing outside of restore is touched before the image has been verified to its
// last byte, whether it comes from a file or a pipe: until then restore opens
// regular files only, those that the tree has mapped or runs. Devices and fifos
// are opened, locks taken and pipes filled afterwards.
//
// An image can run any program as the user who restores it. So a file of another
// user than root and the caller is refused, and one that others may write. What
// comes through a pipe is taken from whoever the caller lets write there.
//
// The tree is let go whole or not at all. The point of no return comes when all
// of it is ready, with all that it has open, and none of it has run: one store
// to memory. Up to there, if anything fails, or a signal ends restore (SIGHUP,
// SIGINT, SIGQUIT or SIGTERM, unless it was started with that one ignored), or
// restore is killed, nothing of the tree is left: no task, and no zombie either
// but when restore is killed. From there on the tree runs, whatever happens to
// restore. What is left to do then needs nothing of the tasks' limits; what goes
// wrong all the same is a warning, "the tree runs, but: ...", and the exit status
// is that of a success. The pid file gets its name after the point.
//
// Without -d restore stays in front of the tree: from the point of no return on
// it passes signals on to the root task, SIGUSR1, SIGUSR2, SIGALRM, SIGCONT,
// SIGWINCH and SIGTSTP too; it waits for the root task, and exits with its
// status. With -d signals do nothing from there on.
//
// Standard input, output and error of the tree, where they led out of it, are
// restore's own. When the image comes on standard input, a tree that reads its
// terminal gets /dev/tty.
//
// The code of the vDSO, which programs call to ask for the time, belongs to the
// kernel. Where this kernel's is the image's, it comes back in place. Under
// another kernel the image's own comes back with each of its functions led to
// this kernel's function of that name, or to the system call: a proxy. --vdso
// inplace refuses a proxy, --vdso proxy makes one in any case; vdsoprobe
// --compare tells beforehand.
//
// CLOCK_MONOTONIC and CLOCK_BOOTTIME of the tree go on from where they stood:
// restored on another boot it gets a time namespace. On the same boot the
// clocks have gone on anyway. --clocks host gives the tree this boot's clocks.
//
// Every process comes back in its session and process group, also when their
// leaders have ended. Those that led out of the tree at the checkpoint, because
// somebody else was in them, are restore's own.
//
// Every task is put back into the control groups that it was in, those of version
// 1 too. When a group is not there, or can't be joined, restore says so before it
// makes anything; --cgroups ignore leaves out such groups, and --cgroups here
// leaves the tree in restore's own.
//
// Nothing else that processes inherit comes from restore's caller: every task has
// the nice value, the policies, flags and filters that it had, also where it had
// none. What restore has and can't get rid of, a seccomp filter for one, is
// refused; --inherit NAME accepts it, with the name that the message gives.
//
// Contents of files are not in the image. A file that is mapped, or runs, must be
// what it was: it has the build-id that it had or, if it has none, was not modified
// since. One that is open must have the size that it had. --force-files takes them
// as they are.
//
// Process ids must be free. A pid that is taken is named, with its holder; a
// pid namespace of its own gives a tree any ids:
//
//	unshare --pid --fork --mount-proc restore IMAGE
//
// With --check restore makes nothing. It reads the whole image, verifies it, and
// looks whether this machine and this user could restore it: ids of processes,
// sessions and groups, files, the processor, the vDSO and what else the kernel
// must have, clocks, limits, capabilities. Every reason why not is a line on
// standard output. No process is made, and no device, fifo or socket is opened.
// restore does the same before it makes the first process, and stops at the
// first reason.
//
// # Exit status
//
//	the root task's, or 128+n when signal n ended it
//	with -d: 0 the tree runs
//	with --check: 0 it can be restored here
//	1  it could not be restored, or a signal came first; nothing is left of it
//	   (--check: it could not be)
//	2  usage
//	3  the image is damaged, incomplete, or not an image
//
// # Examples
//
//	restore < img
//	restore -d --pidfile /run/job.pid img
//	restore --check img
//	freeze --then kill 1234 -- sh -c 'vmadump | vdsoprobe | fddump | pagedump | ssh host restore -d'
package main

import (
	"context"
	_ "embed"
	"os"

	"floe/lib/cli"
	"floe/lib/restorer"
)

//go:embed main.go
var manual string

type flags struct {
	Detach     bool     `short:"d" help:"Leave the tree running and exit."`
	Check      bool     `help:"Restore nothing; list what would keep the image from being restored here."`
	Pidfile    string   `placeholder:"FILE" help:"Write the root task's pid to FILE once the tree runs."`
	ForceFiles bool     `help:"Open files that have changed since the checkpoint, instead of refusing."`
	VDSO       string   `name:"vdso" enum:"auto,inplace,proxy" default:"auto" placeholder:"MODE" help:"How processes get their vDSO: auto, inplace, or proxy."`
	Clocks     string   `enum:"continue,host" default:"continue" placeholder:"HOW" help:"Monotonic clocks: continue, or host's."`
	Cgroups    string   `enum:"restore,ignore,here" default:"restore" placeholder:"HOW" help:"Control groups: restore those that tasks were in, ignore those of them that are not there, or here: restore's own."`
	Inherit    []string `placeholder:"NAME" help:"Let the tree have this attribute from restore."`
	Image      string   `arg:"" optional:"" help:"The image; standard input without it."`
}

func main() {
	var f flags
	cli.Main("restore", manual, &f, func(ctx context.Context, log *cli.Logger) error {
		if err := restorer.CheckInherit(f.Inherit); err != nil {
			return cli.Usage(err)
		}
		ctx, sig := catchSignals(ctx)
		return sig.during(func() error {
			in := os.Stdin
			if f.Image != "" {
				file, err := os.Open(f.Image)
				if err != nil {
					return err
				}
				in = file
			}
			if err := checkOwner(in); err != nil {
				return err
			}
			opt := options{Detach: f.Detach, Pidfile: f.Pidfile, ForceFiles: f.ForceFiles, VDSO: f.VDSO, HostClocks: f.Clocks == "host", Inherit: f.Inherit, Cgroups: f.Cgroups}
			if f.Check {
				return check(ctx, in, os.Stdout, log, opt)
			}
			return run(ctx, sig, in, log, opt)
		})
	})
}
