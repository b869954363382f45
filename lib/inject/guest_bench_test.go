package inject

import (
	"testing"

	"golang.org/x/sys/unix"

	"floe/lib/stub"
	"floe/lib/tracer"
)

// BenchmarkGuestSignal measures one run of a program with a few calls, with
// stops by signals.
func BenchmarkGuestSignal(b *testing.B) { benchmarkGuest(b, 0) }

// BenchmarkGuestSyscall is the same in a thread that blocks all signals.
func BenchmarkGuestSyscall(b *testing.B) { benchmarkGuest(b, ^uint64(0)) }

func benchmarkGuest(b *testing.B, mask uint64) {
	needRoot(b)
	cmd, _ := spinner(b, "plain")
	pid := tracer.TID(cmd.Process.Pid)
	tr := tracer.New()
	defer tr.Close()
	if err := tr.Do(func(p *tracer.Ptrace) error {
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
		defer g.Close()
		regs, err := p.GetRegs(pid)
		if err != nil {
			return err
		}
		var calls []stub.Call
		for range 6 {
			calls = append(calls, stub.Call{Nr: unix.SYS_SIGALTSTACK, Args: []stub.Arg{stub.I(0), stub.D(make([]byte, 24))}})
		}
		for b.Loop() {
			if err := g.Run(p, Thread{TID: pid, Regs: regs, Mask: mask}, calls, func([]int64, func(int, int) ([]byte, error)) error { return nil }); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
}
