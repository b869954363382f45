package dump

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"

	"golang.org/x/sys/unix"

	"floe/lib/calm"
	"floe/lib/lease"
)

// command runs the stages, with the stream as its input.
type command struct {
	cmd   *exec.Cmd
	in    *os.File // where the stream goes
	ended chan error
}

// startCommand starts it, with std as its standard output and error; its end cancels ctx with lease.ErrCommandEnded. This
// program ignores signals that the command is not to ignore.
func startCommand(args []string, std [2]*os.File, ignored []os.Signal, cancel context.CancelCauseFunc) (*command, error) {
	// A signal that is ignored would be in the command too, and a shell can't
	// undo that; one that is caught is not.
	signal.Notify(make(chan os.Signal, 1), append(ignored, unix.SIGPIPE)...)
	defer signal.Ignore(ignored...)
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	c := &command{cmd: exec.Command(args[0], args[1:]...), in: w, ended: make(chan error, 1)}
	c.cmd.Env = calm.Environ()
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = r, std[0], std[1]
	if err := c.cmd.Start(); err != nil {
		w.Close()
		return nil, err
	}
	go func() {
		c.ended <- c.cmd.Wait()
		cancel(lease.ErrCommandEnded)
	}()
	return c, nil
}

// verdict completes the outcome of a lease by the status of a command that has
// ended.
func (c *command) verdict(o *lease.Outcome) {
	err := <-c.ended
	c.ended <- err
	switch {
	case err != nil:
		o.Failure = fmt.Sprintf("%s: %s", c.cmd.Args[0], err)
	case !o.Complete:
		o.Failure = fmt.Sprintf("%s ended without a complete image", c.cmd.Args[0])
	}
}

// finish waits for the command to end, and returns its exit status; -1 when a
// signal ended it. No stage of it waits for more input. With interrupt it is
// told to end.
func (c *command) finish(interrupt bool) int {
	c.in.Close()
	if interrupt {
		_ = c.cmd.Process.Signal(unix.SIGTERM)
	}
	c.ended <- <-c.ended
	return c.cmd.ProcessState.ExitCode()
}
