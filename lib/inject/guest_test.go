package inject

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"floe/lib/stub"
	"floe/lib/tracer"
)

// spinner starts the self-checking victim. ok reads on until it has said that
// it is well again after now.
func spinner(t testing.TB, args ...string) (cmd *exec.Cmd, ok func()) {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "spin")
	if out, err := exec.Command("gcc", "-O1", "-o", bin, "testdata/spin.c").CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	cmd = exec.Command(bin, args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	lines := make(chan string, 1<<16)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
	}()
	return cmd, func() {
		t.Helper()
		for len(lines) > 0 {
			if l := <-lines; !strings.HasPrefix(l, "ok ") {
				t.Fatal(l)
			}
		}
		for range 2 {
			select {
			case l, open := <-lines:
				if !open || !strings.HasPrefix(l, "ok ") {
					t.Fatalf("the victim said %q", l)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("the victim says nothing any more")
			}
		}
	}
}

// injectOnce freezes a task, runs some calls in it and lets it go.
func injectOnce(p *tracer.Ptrace, pid tracer.TID) error {
	if err := p.Seize(pid, 0); err != nil {
		return err
	}
	if err := p.Interrupt(pid); err != nil {
		return err
	}
	if _, err := ToEventStop(p, pid); err != nil {
		return err
	}
	g, err := NewGuest(pid)
	if err != nil {
		return err
	}
	if inside, err := isInside(p, pid, g); err != nil || inside {
		return errors.Join(err, g.mem.Close(), p.Detach(pid, 0))
	}
	if err := runSome(p, g, pid); err != nil {
		return err
	}
	if err := g.Close(); err != nil {
		return err
	}
	return p.Detach(pid, 0)
}

// isInside tells whether a thread still runs the program of an injector that was
// killed, or a handler that returns into it: nothing may be written there then.
// freeze has ways to wait for that; the tests just try again.
func isInside(p *tracer.Ptrace, pid tracer.TID, g *Guest) (bool, error) {
	regs, err := p.GetRegs(pid)
	if err != nil {
		return false, err
	}
	within := func(x uint64) bool { return x >= uint64(g.at) && x < uint64(g.at)+uint64(g.room) }
	if within(regs.Rip) {
		return true, nil
	}
	frame := make([]byte, 2048) // a signal frame is smaller up to its registers
	if err := tracer.ReadMem(pid, tracer.Addr(regs.Rsp), frame); err != nil {
		return false, err
	}
	for ; len(frame) > 0; frame = frame[8:] {
		if within(binary.LittleEndian.Uint64(frame)) {
			return true, nil
		}
	}
	return false, nil
}

func runSome(p *tracer.Ptrace, g *Guest, pid tracer.TID) error {
	regs, err := p.GetRegs(pid)
	if err != nil {
		return err
	}
	mask, err := p.GetSigMask(pid)
	if err != nil {
		return err
	}
	calls := []stub.Call{{What: "getpid", Nr: unix.SYS_GETPID}}
	for sig := 1; sig <= 64; sig++ {
		calls = append(calls, stub.Call{What: "sigaction", Nr: unix.SYS_RT_SIGACTION,
			Args: []stub.Arg{stub.I(sig), stub.I(0), stub.D(make([]byte, 32)), stub.I(8)}})
	}
	return g.Run(p, Thread{TID: pid, Regs: regs, Mask: mask}, calls, func(res []int64, data func(int, int) ([]byte, error)) error {
		if res[0] != int64(pid) {
			return fmt.Errorf("getpid says %d", res[0])
		}
		b, err := data(int(unix.SIGALRM), 2)
		if err != nil || len(b) != 32 || string(b[:8]) == strings.Repeat("\x00", 8) {
			return fmt.Errorf("action of SIGALRM: % x, %v", b, err)
		}
		return nil
	})
}

func TestGuestFeelsNothing(t *testing.T) {
	needRoot(t)
	for _, mode := range []string{"plain", "timer"} {
		t.Run(mode, func(t *testing.T) {
			cmd, ok := spinner(t, mode)
			ok()
			pid := tracer.TID(cmd.Process.Pid)
			before, _ := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
			tr := tracer.New()
			defer tr.Close()
			const rounds = 1000
			start := time.Now()
			if err := tr.Do(func(p *tracer.Ptrace) error {
				for i := range rounds {
					if err := injectOnce(p, pid); err != nil {
						return fmt.Errorf("round %d: %w", i, err)
					}
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			t.Logf("%v a freeze with 65 calls", time.Since(start)/rounds)
			ok()
			if after, _ := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid)); string(after) != string(before) {
				t.Errorf("maps differ:\n%s\n%s", before, after)
			}
		})
	}
}

// TestGuestSurvivesTracer kills the tracer at random moments.
func TestGuestSurvivesTracer(t *testing.T) {
	needRoot(t)
	cmd, ok := spinner(t, "timer")
	ok()
	before, _ := os.ReadFile(fmt.Sprintf("/proc/%d/maps", cmd.Process.Pid))
	const rounds = 200
	for i := range rounds {
		c := exec.Command("/proc/self/exe", "-test.run=TestHelperInjector")
		c.Env = append(os.Environ(), fmt.Sprintf("FLOE_INJECT=%d", cmd.Process.Pid))
		in, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		said := bufio.NewReader(in)
		_, _ = said.ReadString('\n') // it has begun
		time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond)
		_ = c.Process.Kill()
		why, _ := io.ReadAll(said)
		_ = c.Wait()
		if c.ProcessState.Exited() {
			t.Fatalf("round %d: the injector ended by itself: %v: %s", i, c.ProcessState, why)
		}
	}
	ok()
	if after, _ := os.ReadFile(fmt.Sprintf("/proc/%d/maps", cmd.Process.Pid)); string(after) != string(before) {
		t.Errorf("maps differ:\n%s\n%s", before, after)
	}
}

// TestHelperInjector is the injector that TestGuestSurvivesTracer kills.
func TestHelperInjector(t *testing.T) {
	var pid tracer.TID
	if n, _ := fmt.Sscan(os.Getenv("FLOE_INJECT"), &pid); n != 1 {
		return
	}
	fmt.Println("begun")
	tr := tracer.New()
	err := tr.Do(func(p *tracer.Ptrace) error {
		for {
			if err := injectOnce(p, pid); err != nil {
				return err
			}
		}
	})
	fmt.Println(err)
	os.Exit(1)
}
