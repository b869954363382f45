package inject

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"floe/lib/stub"
	"floe/lib/tracer"
)

// freePID finds an unused pid well away from those that come next.
func freePID() (tracer.TID, error) {
	b, err := os.ReadFile("/proc/sys/kernel/pid_max")
	if err != nil {
		return 0, err
	}
	limit, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0, err
	}
	for i := range limit - 1000 {
		pid := 300 + (os.Getpid()+700+i)%(limit-300)
		if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); os.IsNotExist(err) {
			return tracer.TID(pid), nil
		}
	}
	return 0, errors.New("no free pid")
}

func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test needs root: clone3 with set_tid does")
	}
}

// TestSeedDescriptors: a puppet has what it is to inherit, and nothing that this
// process's caller happened to leave open.
func TestSeedDescriptors(t *testing.T) {
	needRoot(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	for _, n := range []int{40, 251} { // not close-on-exec
		if err := unix.Dup3(int(r.Fd()), n, 0); err != nil {
			t.Fatal(err)
		}
		defer unix.Close(n)
	}
	tr := tracer.New()
	defer tr.Close()
	if err := tr.Do(func(p *tracer.Ptrace) error {
		s, err := NewSeed(p, NewArena(0x20000000, 1<<20), int(w.Fd()))
		if err != nil {
			return err
		}
		defer s.Close()
		defer s.Kill(p)
		list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.TID))
		if err == nil && (len(list) != 1 || list[0].Name() != "0") {
			err = fmt.Errorf("its descriptors are %v", list)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func TestPuppetBecomesProcessWithThread(t *testing.T) {
	needRoot(t)
	tr := tracer.New()
	defer tr.Close()
	pid, err := freePID()
	if err != nil {
		t.Fatal(err)
	}
	err = tr.Do(func(p *tracer.Ptrace) error {
		a := NewArena(0x20000000, 1<<20)
		s, err := NewSeed(p, a)
		if err != nil {
			return err
		}
		defer s.Close()
		if err := a.Clone(p, s.TID, CloneArgs{TID: pid, Flags: unix.CLONE_PARENT}); err != nil {
			return err
		}
		s.Kill(p)
		if err := a.Clone(p, pid, CloneArgs{TID: pid + 1, Flags: unix.CLONE_VM | unix.CLONE_THREAD | unix.CLONE_SIGHAND | unix.CLONE_FS | unix.CLONE_FILES}); err != nil {
			return err
		}
		const vdsoAt = 0x7f0000000000
		res, err := a.Run(p, pid, []stub.Call{
			{What: "munmap below", Nr: unix.SYS_MUNMAP, Args: []stub.Arg{stub.I(0), stub.I(a.Base)}},
			{What: "munmap above", Nr: unix.SYS_MUNMAP, Args: []stub.Arg{stub.I(a.End()), stub.I(0x7ffffffff000 - a.End())}},
			{What: "vdso", Nr: unix.SYS_ARCH_PRCTL, Args: []stub.Arg{stub.I(0x2003), stub.I(uint64(vdsoAt))}},
			{What: "getpid", Nr: unix.SYS_GETPID},
			{What: "fails", Nr: unix.SYS_CLOSE, Args: []stub.Arg{stub.I(-1)}, MayFail: true},
			{What: "kill 0", Nr: unix.SYS_KILL, Args: []stub.Arg{stub.R(3), stub.I(0)}},
		})
		if err != nil {
			return err
		}
		if res[3] != int64(pid) || res[4] != -int64(unix.EBADF) {
			t.Errorf("results %v", res)
		}
		maps, _ := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
		t.Logf("maps:\n%s", maps)
		if n := strings.Count(string(maps), "\n"); n > 7 || !strings.Contains(string(maps), "[vdso]") {
			t.Errorf("unexpected maps:\n%s", maps)
		}
		_, err = a.Run(p, pid+1, []stub.Call{{What: "bad close", Nr: unix.SYS_CLOSE, Args: []stub.Arg{stub.I(-1)}}})
		if ce, ok := err.(*CallError); !ok || ce.Errno != unix.EBADF {
			t.Errorf("bad close: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	tr.Close() // kills it
	_, _ = unix.Wait4(int(pid), nil, unix.WALL, nil)
}

// gateTree makes a root with one child and two threads, armed for release, in
// a state that writes its pid to a pipe and exits.
type gateTree struct {
	seed  *Seed
	arena *Arena
	tids  []tracer.TID
	final map[tracer.TID]*Final
}

// exitCode is a page of code of the test's own: write(fd, &byte, 1); exit_group.
var exitCode = []byte{
	0xb8, 1, 0, 0, 0, 0x0f, 0x05, // mov $1, %eax (write); syscall
	0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05, // mov $60, %eax (exit); xor %edi, %edi; syscall
	0xcc,
}

const codeAt = 0x40000000

func makeGateTree(p *tracer.Ptrace, pid tracer.TID, fd int) (*gateTree, error) {
	a := NewArena(0x20000000, 1<<20)
	s, err := NewSeed(p, a, fd)
	if err != nil {
		return nil, err
	}
	g := &gateTree{seed: s, arena: a, final: map[tracer.TID]*Final{}}
	if err := a.Clone(p, s.TID, CloneArgs{TID: pid, Flags: unix.CLONE_PARENT}); err != nil {
		return g, err
	}
	s.Kill(p)
	if err := a.Clone(p, pid, CloneArgs{TID: pid + 1, ExitSignal: uint64(unix.SIGCHLD)}); err != nil {
		return g, err
	}
	const thread = unix.CLONE_VM | unix.CLONE_THREAD | unix.CLONE_SIGHAND | unix.CLONE_FS | unix.CLONE_FILES
	if err := a.Clone(p, pid, CloneArgs{TID: pid + 2, Flags: thread}, CloneArgs{TID: pid + 3, Flags: thread}); err != nil {
		return g, err
	}
	g.tids = []tracer.TID{pid, pid + 1, pid + 2, pid + 3}
	for _, tid := range g.tids[:2] {
		if _, err := a.Run(p, tid, []stub.Call{
			{What: "mmap", Nr: unix.SYS_MMAP, Args: []stub.Arg{stub.I(codeAt), stub.I(4096), stub.I(unix.PROT_READ | unix.PROT_EXEC),
				stub.I(unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_FIXED), stub.I(-1), stub.I(0)}},
		}); err != nil {
			return g, err
		}
		m, err := tracer.OpenMem(tid)
		if err != nil {
			return g, err
		}
		if err := m.Write(codeAt, exitCode); err != nil {
			return g, err
		}
		m.Close()
	}
	slots := map[tracer.TID]int{pid: 0, pid + 1: 0, pid + 2: 1, pid + 3: 2}
	for _, tid := range g.tids {
		x, err := p.GetXState(tid)
		if err != nil {
			return g, err
		}
		regs := baseRegs()
		regs.Rip, regs.Rdi, regs.Rsi, regs.Rdx = codeAt, 0, codeAt, 1
		f := &Final{Regs: regs, Resumed: regs, XState: x, FrameState: x, FrameMask: 0x7}
		g.final[tid] = f
		if err := a.Arm(p, tid, slots[tid], f); err != nil {
			return g, err
		}
	}
	return g, nil
}

// TestGate lets the tracer go at each stage of a release: every thread must
// come through, or none.
func TestGate(t *testing.T) {
	needRoot(t)
	// Orphans come to us to be reaped: their ids must be free for the next.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	stages := []string{"armed", "half disarmed", "disarmed", "rearmed", "committed", "half settled", "settled", "left",
		"leaving, settled before the call is seen", "leaving, settled before its return is seen"}
	for steps := range 40 { // of the program that leaves the arena: it has some 25 instructions
		stages = append(stages, fmt.Sprintf("leaving, settled after %d", steps))
	}
	for _, stage := range stages {
		t.Run(stage, func(t *testing.T) {
			var pipe [2]int
			if err := unix.Pipe2(pipe[:], 0); err != nil {
				t.Fatal(err)
			}
			defer unix.Close(pipe[0])
			tr := tracer.New()
			err := tr.Do(func(p *tracer.Ptrace) error {
				pid, err := freePID()
				if err != nil {
					return err
				}
				g, err := makeGateTree(p, pid, pipe[1])
				if err != nil {
					return err
				}
				return g.advance(p, stage)
			})
			unix.Close(pipe[1])
			tr.Close() // the thread ends, as it would with a killed restore
			if err != nil {
				t.Fatal(err)
			}
			want := 0
			if strings.Contains(stage, "commit") || strings.Contains(stage, "settled") || stage == "left" {
				want = 4
			}
			b := make([]byte, 16)
			got := 0
			for {
				n, err := unix.Read(pipe[0], b)
				if err == unix.EINTR {
					continue
				}
				if n <= 0 {
					break
				}
				got += n
			}
			if got != want {
				t.Errorf("%d of 4 threads came through, want %d", got, want)
			}
			for { // the root is ours to reap
				if _, err := unix.Wait4(-1, nil, unix.WALL, nil); err != nil {
					break
				}
			}
		})
	}
}

func (g *gateTree) advance(p *tracer.Ptrace, stage string) error {
	exits := map[tracer.TID]*Exit{}
	for _, tid := range g.tids[:2] { // of each address space
		x, err := g.arena.NewExit(tid, g.final[tid])
		if err != nil {
			return err
		}
		exits[tid] = x
	}
	for i, tid := range g.tids {
		if stage == "armed" || stage == "half disarmed" && i == 2 {
			return nil
		}
		if err := Disarm(p, tid); err != nil {
			return err
		}
	}
	if stage == "disarmed" {
		return nil
	}
	if stage == "rearmed" {
		for _, tid := range g.tids {
			if err := Rearm(p, tid); err != nil {
				return err
			}
		}
		return nil
	}
	g.seed.Commit()
	for i, tid := range g.tids {
		if stage == "committed" || stage == "half settled" && i == 2 {
			return nil
		}
		if exits[tid] != nil && stage != "settled" {
			continue
		}
		if err := Settle(p, tid, g.final[tid]); err != nil {
			return err
		}
	}
	for _, x := range exits {
		var steps int
		if n, _ := fmt.Sscanf(stage, "leaving, settled after %d", &steps); n == 1 {
			if err := x.stepIn(p, steps); err != nil {
				return err
			}
		} else if strings.HasSuffix(stage, "is seen") {
			if err := x.stepIn(p, 0); err != nil {
				return err
			}
			if err := p.Syscall(x.tid, 0); err != nil {
				return err
			}
			if strings.Contains(stage, "return") {
				if s, err := p.Wait(x.tid); err != nil || s.Kind != tracer.SyscallStop {
					return fmt.Errorf("%s, %v", s, err)
				}
				if err := p.Syscall(x.tid, 0); err != nil {
					return err
				}
			}
			time.Sleep(20 * time.Millisecond)
		} else if stage == "left" {
			if err := x.Take(p); err != nil {
				return err
			}
			maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", x.tid))
			if err != nil || strings.Contains(string(maps), commitName) {
				return fmt.Errorf("the arena is there: %v\n%s", err, maps)
			}
		}
	}
	return nil
}

// stepIn begins to take an exit, and runs some instructions of its program.
func (x *Exit) stepIn(p *tracer.Ptrace, steps int) error {
	if err := p.SetSigMask(x.tid, blockAllBut(0)); err != nil {
		return err
	}
	regs := leaveRegs(x.entry, &x.final.Resumed)
	if err := p.SetRegs(x.tid, &regs); err != nil {
		return err
	}
	if err := p.SetSigMask(x.tid, puppetMask); err != nil { // a step is a forced SIGTRAP
		return err
	}
	for range steps {
		if err := p.Step(x.tid, 0); err != nil {
			return err
		}
		s, err := p.Wait(x.tid)
		if err != nil || s.Kind != tracer.SignalStop || s.Signal != trapSignal {
			return fmt.Errorf("%s, %v", s, err)
		}
		if got, err := p.GetRegs(x.tid); err != nil || got.Rip == codeAt {
			if err != nil {
				return err
			}
			break // through
		}
	}
	// A tracer that dies while it steps leaves the task stepping: no part of this.
	if err := errors.Join(p.Interrupt(x.tid), p.Cont(x.tid, 0)); err != nil {
		return err
	}
	return awaitEventStop(p, x.tid)
}

// TestHalt stops a process at the gate, and continues it when the tracer is gone;
// also one in an orphaned process group, which a terminal's signals don't stop.
func TestHalt(t *testing.T) {
	needRoot(t)
	for _, test := range []struct {
		sig    unix.Signal
		orphan bool
	}{{unix.SIGSTOP, false}, {unix.SIGSTOP, true}, {unix.SIGTSTP, true}, {unix.SIGTTOU, true}} {
		t.Run(fmt.Sprintf("%s/%v", unix.SignalName(test.sig), test.orphan), func(t *testing.T) {
			var pipe [2]int
			if err := unix.Pipe2(pipe[:], 0); err != nil {
				t.Fatal(err)
			}
			defer unix.Close(pipe[0])
			pid, err := freePID()
			if err != nil {
				t.Fatal(err)
			}
			tr := tracer.New()
			err = tr.Do(func(p *tracer.Ptrace) error {
				g, err := makeGateTree(p, pid, pipe[1])
				if err != nil {
					return err
				}
				if test.orphan {
					if _, err := g.arena.Run(p, pid, []stub.Call{{What: "setsid", Nr: unix.SYS_SETSID}}); err != nil {
						return err
					}
				}
				g.final[pid].Stops = true
				if err := g.arena.Arm(p, pid, 0, g.final[pid]); err != nil {
					return err
				}
				for _, tid := range g.tids {
					if err := Disarm(p, tid); err != nil {
						return err
					}
				}
				g.seed.Commit()
				return Halt(p, pid, test.sig)
			})
			unix.Close(pipe[1])
			tr.Close()
			if err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 16)
			if n, _ := unix.Read(pipe[0], b); n != 1 {
				t.Errorf("%d bytes from the child that was not stopped", n)
			}
			for until := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
				if stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); strings.Contains(string(stat), ") T ") {
					break
				}
				if time.Now().After(until) {
					t.Fatal("it is not stopped")
				}
			}
			if err := unix.Kill(int(pid), unix.SIGCONT); err != nil {
				t.Error(err)
			}
			got := 0
			for {
				n, err := unix.Read(pipe[0], b)
				if err == nil && n <= 0 {
					break
				}
				got += max(0, n)
			}
			if got != 3 {
				t.Errorf("%d of 3 threads came through", got)
			}
			for {
				if _, err := unix.Wait4(-1, nil, unix.WALL, nil); err != nil {
					break
				}
			}
		})
	}
}

// TestDeadLeader: a process that is killed while its first thread is waited for
// is seen to have ended, though its other threads are traced and nobody waits for
// them.
func TestDeadLeader(t *testing.T) {
	needRoot(t)
	tr := tracer.New()
	defer tr.Close()
	pid, err := freePID()
	if err != nil {
		t.Fatal(err)
	}
	err = tr.Do(func(p *tracer.Ptrace) error {
		a := NewArena(0x20000000, 1<<20)
		s, err := NewSeed(p, a)
		if err != nil {
			return err
		}
		defer s.Close()
		if err := a.Clone(p, s.TID, CloneArgs{TID: pid, Flags: unix.CLONE_PARENT}); err != nil {
			return err
		}
		s.Kill(p)
		s.Kill(p) // once is enough
		const thread = unix.CLONE_VM | unix.CLONE_THREAD | unix.CLONE_SIGHAND | unix.CLONE_FS | unix.CLONE_FILES
		if err := a.Clone(p, pid, CloneArgs{TID: pid + 1, Flags: thread}, CloneArgs{TID: pid + 2, Flags: thread}); err != nil {
			return err
		}
		pidfd, err := unix.PidfdOpen(int(pid), 0)
		if err != nil {
			return err
		}
		defer unix.Close(pidfd)
		time.AfterFunc(50*time.Millisecond, func() { _ = unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0) })
		begun := time.Now()
		_, err = a.Run(p, pid, []stub.Call{{What: "pause", Nr: unix.SYS_PAUSE}})
		var gone *tracer.GoneError
		if !errors.As(err, &gone) || gone.TID != pid || gone.Stop.Signal != unix.SIGKILL || time.Since(begun) > 5*time.Second {
			t.Errorf("after %s: %v", time.Since(begun), err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
