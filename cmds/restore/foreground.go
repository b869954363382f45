package main

import (
	"fmt"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"floe/lib/cli"
	"floe/lib/record"
	"floe/lib/restorer"
	"floe/lib/tracer"
)

// forwarded are the signals that restore passes on to the root task, besides
// those that end it while there is no tree.
var forwarded = []os.Signal{unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM, unix.SIGCONT, unix.SIGWINCH, unix.SIGTSTP}

// foreground makes restore stand for the tree's root: signals go to it, and
// its end is restore's.
type foreground struct {
	signals <-chan os.Signal
	*restorer.Root
	task *record.Task
	tty  int // restore's terminal, when it was given to the tree; or -1
}

func newForeground(sig *signals, root *restorer.Root, task *record.Task) *foreground {
	return &foreground{signals: sig.rest, Root: root, task: task, tty: -1}
}

// wait passes signals on until the root ends; it returns the root's status as
// an error with that exit code, nil for 0.
func (fg *foreground) wait() error {
	if fg.Ended != nil {
		return status(fg.Ended.Kind == tracer.Exited, fg.Ended.Code, fg.Ended.Signal)
	}
	fg.giveTerminal()
	defer fg.takeTerminal()
	done := make(chan struct{})
	defer close(done)
	go fg.forward(done)
	for {
		// Any child: orphans come to this process when it is a subreaper, or the
		// first of its pid namespace, and somebody has to wait for them.
		var ws unix.WaitStatus
		pid, err := unix.Wait4(-1, &ws, unix.WUNTRACED|unix.WALL, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return fmt.Errorf("wait for task %d: %w", fg.PID, err)
		case pid != int(fg.PID):
		case ws.Exited() || ws.Signaled():
			return status(ws.Exited(), ws.ExitStatus(), ws.Signal())
		case ws.Stopped():
			fg.stop()
		}
	}
}

// status is an exit status as an error.
func status(exited bool, code int, sig unix.Signal) error {
	switch {
	case !exited:
		return &cli.ExitError{Code: 128 + int(sig)}
	case code != 0:
		return &cli.ExitError{Code: code}
	}
	return nil
}

// forward passes signals on. The pidfd is the root's even when the root has
// ended and its id is another's.
func (fg *foreground) forward(done <-chan struct{}) {
	ownGroup := unix.Getpgrp() != int(fg.task.Pgid) && fg.task.Pgid == fg.PID
	for {
		select {
		case s := <-fg.signals:
			// The terminal sends its signals to the whole group: a tree in
			// restore's own has got them already.
			if sig, ok := s.(unix.Signal); ok && (ownGroup || !fromTerminal(sig)) {
				_ = unix.PidfdSendSignal(fg.PIDFD, sig, nil, 0)
			}
		case <-done:
			return
		}
	}
}

func fromTerminal(s unix.Signal) bool {
	return s == unix.SIGINT || s == unix.SIGQUIT || s == unix.SIGTSTP || s == unix.SIGWINCH
}

// stop stops restore too when the tree was stopped at the terminal, so that
// the shell sees it; and goes on with the tree when the shell says so.
//
// There is no descriptor for a process group, and none is needed: the root has
// not been waited for, since only wait does that, and as long as it has its id,
// no group but its own can have it.
func (fg *foreground) stop() {
	if fg.tty < 0 {
		return // somebody stopped it, somebody will continue it
	}
	fg.takeTerminal()
	_ = unix.Kill(unix.Getpid(), unix.SIGSTOP)
	fg.giveTerminal()
	_ = unix.Kill(-int(fg.PID), unix.SIGCONT)
}

// giveTerminal makes the tree's process group the foreground one, when restore
// is in the foreground itself and the tree is a job of its own in restore's
// session.
func (fg *foreground) giveTerminal() {
	if fg.task.Pgid != fg.PID || fg.task.Sid == fg.PID {
		return
	}
	tty, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return
	}
	if group, err := unix.IoctlGetInt(tty, unix.TIOCGPGRP); err != nil || group != unix.Getpgrp() {
		unix.Close(tty)
		return
	}
	fg.tty = tty
	_ = unix.IoctlSetPointerInt(tty, unix.TIOCSPGRP, int(fg.task.Pgid))
}

// takeTerminal takes the terminal back.
func (fg *foreground) takeTerminal() {
	if fg.tty < 0 {
		return
	}
	signal.Ignore(unix.SIGTTOU) // or taking it back would stop us
	_ = unix.IoctlSetPointerInt(fg.tty, unix.TIOCSPGRP, unix.Getpgrp())
	signal.Reset(unix.SIGTTOU)
	unix.Close(fg.tty)
	fg.tty = -1
}
