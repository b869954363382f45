// stepper leaves a task at an instruction: it runs the task PID to address
// ENTRY, and then on to the first instruction whose address is not in the file
// SEEN yet. There the task is stopped by SIGSTOP, and traced no more. It prints
// the address and adds it to SEEN; nothing when the call has ended before.
//
// usage: stepper PID ENTRY SEEN
package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"floe/lib/tracer"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "stepper:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("usage: stepper PID ENTRY SEEN")
	}
	pid, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	entry, err := strconv.ParseUint(args[1], 0, 64)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(args[2], os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	seen := map[string]bool{}
	for s := bufio.NewScanner(f); s.Scan(); {
		seen[s.Text()] = true
	}
	t := tracer.New()
	defer t.Close()
	return t.Do(func(p *tracer.Ptrace) error {
		at, err := step(p, tracer.TID(pid), entry, seen)
		if err != nil || at == "" {
			return err
		}
		fmt.Println(at)
		_, err = fmt.Fprintln(f, at)
		return err
	})
}

func step(p *tracer.Ptrace, tid tracer.TID, entry uint64, seen map[string]bool) (string, error) {
	if err := p.Seize(tid, 0); err != nil {
		return "", err
	}
	if err := p.Interrupt(tid); err != nil {
		return "", err
	}
	if _, err := p.Wait(tid); err != nil {
		return "", err
	}
	var back uint64 // where the call returns to
	for begun := false; ; {
		regs, err := p.GetRegs(tid)
		if err != nil {
			return "", err
		}
		if !begun && regs.Rip == entry {
			begun = true
			var b [8]byte
			if err := tracer.ReadMem(tid, tracer.Addr(regs.Rsp), b[:]); err != nil {
				return "", err
			}
			for i := range b {
				back |= uint64(b[i]) << (8 * i)
			}
		}
		at := fmt.Sprintf("%#x", regs.Rip)
		if begun && regs.Rip == back {
			at = ""
		}
		if begun && !seen[at] {
			return at, p.Detach(tid, unix.SIGSTOP)
		}
		if err := p.Step(tid, 0); err != nil {
			return "", err
		}
		if s, err := p.Wait(tid); err != nil || s.Gone() {
			return "", fmt.Errorf("the task is gone: %v, %w", s, err)
		}
	}
}
