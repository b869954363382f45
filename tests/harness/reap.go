package harness

import (
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// End is how a process ended.
type End struct {
	Status syscall.WaitStatus
	Usage  syscall.Rusage
}

// The test process is a subreaper: what restore leaves behind becomes its
// child. One goroutine waits for all children, those of os/exec too, and as
// soon as they end: restore needs their ids.
var reaper = struct {
	sync.Mutex
	ended map[int]chan End
}{ended: map[int]chan End{}}

func becomeReaper() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return err
	}
	go reap()
	return nil
}

func reap() {
	for {
		// Who has ended stays a zombie until its end is told: whoever sees that it
		// is gone, and asks for the next end of that id, must not get this one.
		if err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOWAIT, nil); err == unix.ECHILD {
			time.Sleep(time.Millisecond)
			continue
		}
		reaper.Lock()
		var e End
		if pid, err := syscall.Wait4(-1, &e.Status, syscall.WNOHANG, &e.Usage); err == nil && pid > 0 {
			if c := reaper.ended[pid]; c != nil {
				select {
				case c <- e:
				default: // nobody has asked for the one before
				}
			}
		}
		reaper.Unlock()
	}
}

// spawn starts a command whose end comes through the channel.
func spawn(cmd *exec.Cmd) (<-chan End, error) {
	reaper.Lock()
	defer reaper.Unlock()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := make(chan End, 1)
	reaper.ended[cmd.Process.Pid] = c
	return c, nil
}

// Spawn starts a command that only the kernel tells the end of.
func Spawn(cmd *exec.Cmd) error {
	_, err := spawn(cmd)
	return err
}

// watch tells about the next end of a process that is, or will be, a child.
func watch(pid int) <-chan End {
	c := make(chan End, 1)
	reaper.Lock()
	defer reaper.Unlock()
	reaper.ended[pid] = c
	return c
}
