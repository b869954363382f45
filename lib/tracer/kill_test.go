package tracer

import (
	"errors"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// sleeper is a process that does nothing.
func sleeper(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd
}

// TestSignal: a signal reaches a tracee, stopped, running or dead, and nobody
// else, one that was a tracee included.
func TestSignal(t *testing.T) {
	mine, other, former := sleeper(t), sleeper(t), sleeper(t)
	tid := func(c *exec.Cmd) TID { return TID(c.Process.Pid) }
	tr := New()
	defer tr.Close()
	if err := tr.Do(func(p *Ptrace) error {
		for _, c := range []*exec.Cmd{mine, former} {
			if err := errors.Join(p.Seize(tid(c), 0), p.Interrupt(tid(c))); err != nil {
				return err
			}
			if s, err := p.Wait(tid(c)); err != nil || s.Kind != EventStop {
				t.Errorf("%s, %v", s, err)
			}
		}
		if err := p.Detach(tid(former), 0); err != nil {
			return err
		}
		for _, c := range []*exec.Cmd{other, former} {
			if err := p.Signal(tid(c), unix.SIGKILL); !errors.Is(err, ErrTaskGone) {
				t.Errorf("no tracee: %v", err)
			}
		}
		if err := p.Signal(tid(mine), unix.SIGKILL); err != nil {
			t.Errorf("a stopped tracee: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
		if err := p.Signal(tid(mine), unix.SIGKILL); err != nil {
			t.Errorf("a dead tracee that nobody has waited for: %v", err)
		}
		if s, err := p.Wait(tid(mine)); err != nil || s.Kind != Killed {
			t.Errorf("%s, %v", s, err)
		}
		// Its id is anybody's once its parent has waited for it too.
		_ = mine.Wait()
		if err := p.Signal(tid(mine), unix.SIGKILL); !errors.Is(err, ErrTaskGone) {
			t.Errorf("a tracee that is gone: %v", err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*exec.Cmd{other, former} {
		if err := unix.Kill(c.Process.Pid, 0); err != nil {
			t.Errorf("a stranger: %v", err)
		}
		var ws unix.WaitStatus
		if pid, err := unix.Wait4(c.Process.Pid, &ws, unix.WNOHANG, nil); pid != 0 || err != nil {
			t.Errorf("a stranger has ended: %v, %v", ws, err)
		}
	}
}
