package main

import (
	"fmt"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"floe/lib/cli"
	"floe/lib/record"
)

// forwarded are the signals that restore passes on to the root task.
var forwarded = []os.Signal{
	unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2,
	unix.SIGALRM, unix.SIGCONT, unix.SIGWINCH, unix.SIGTSTP,
}

// foreground makes restore stand for the tree's root: signals go to it, and
// its end is restore's.
type foreground struct {
	signals chan os.Signal
	tty     int // restore's terminal, when it was given to the tree; or -1
}

func newForeground() (*foreground, error) {
	fg := &foreground{signals: make(chan os.Signal, 64), tty: -1}
	signal.Notify(fg.signals, forwarded...)
	return fg, nil
}

func (fg *foreground) close() { signal.Stop(fg.signals) }

// wait passes signals on until the root ends; it returns the root's status as
// an error with that exit code, nil for 0.
func (fg *foreground) wait(root *record.Task) error {
	pid := int(root.Pid)
	fg.giveTerminal(root)
	defer fg.takeTerminal()
	ownGroup := unix.Getpgrp() != int(root.Pgid) && root.Pgid == root.Pid
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case s := <-fg.signals:
				// The terminal sends its signals to the whole group: a tree in
				// restore's own has got them already.
				if sig, ok := s.(unix.Signal); ok && (ownGroup || !fromTerminal(sig)) {
					_ = unix.Kill(pid, sig)
				}
			case <-done:
				return
			}
		}
	}()
	for {
		var ws unix.WaitStatus
		_, err := unix.Wait4(pid, &ws, unix.WUNTRACED|unix.WALL, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return fmt.Errorf("wait for task %d: %w", pid, err)
		case ws.Exited() && ws.ExitStatus() == 0:
			return nil
		case ws.Exited():
			return &cli.ExitError{Code: ws.ExitStatus()}
		case ws.Signaled():
			return &cli.ExitError{Code: 128 + int(ws.Signal())}
		case ws.Stopped():
			fg.stop(pid, root)
		}
	}
}

func fromTerminal(s unix.Signal) bool {
	return s == unix.SIGINT || s == unix.SIGQUIT || s == unix.SIGTSTP || s == unix.SIGWINCH
}

// stop stops restore too when the tree was stopped at the terminal, so that
// the shell sees it; and goes on with the tree when the shell says so.
func (fg *foreground) stop(pid int, root *record.Task) {
	if fg.tty < 0 {
		return // somebody stopped it, somebody will continue it
	}
	fg.takeTerminal()
	_ = unix.Kill(unix.Getpid(), unix.SIGSTOP)
	fg.giveTerminal(root)
	_ = unix.Kill(-pid, unix.SIGCONT)
}

// giveTerminal makes the tree's process group the foreground one, when restore
// is in the foreground itself and the tree is a job of its own in restore's
// session.
func (fg *foreground) giveTerminal(root *record.Task) {
	if root.Pgid != root.Pid || root.Sid == root.Pid {
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
	_ = unix.IoctlSetPointerInt(tty, unix.TIOCSPGRP, int(root.Pgid))
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
