package freezer

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"floe/lib/image"
	"floe/lib/record"
	"floe/lib/tracer"
)

func TestFamily(t *testing.T) {
	needRoot(t)
	v := start(t, compile(t, "shapes"), "family")
	im := freezeOnce(t, v.pid)
	by := map[string]int{}
	for _, task := range im.Tasks {
		kind := task.State.String()
		if task.State == record.Task_ZOMBIE {
			kind += fmt.Sprintf(" %#x", task.ExitCode)
		}
		if task.State == record.Task_STOPPED {
			kind += fmt.Sprintf(" %d", task.StopSignal)
		}
		if task.Sid == task.Pid {
			kind += " leads a session"
		} else if task.Pgid == task.Pid {
			kind += " leads a group"
		}
		if task.ExitSignal != uint32(unix.SIGCHLD) {
			kind += fmt.Sprintf(" signals %d", task.ExitSignal)
		}
		by[kind]++
		parent := im.Task(task.Ppid)
		if task.Pid != int32(v.pid) && (parent == nil || parent.Pid == task.Pid) {
			t.Errorf("task %d has parent %d", task.Pid, task.Ppid)
		}
		if task.State != record.Task_ZOMBIE && (task.MmId == 0 || task.FilesId == 0 || len(task.Actions) != 64 || len(task.Limits) != 16) {
			t.Errorf("task %d is not complete: %v", task.Pid, task)
		}
	}
	want := map[string]int{
		"RUNNING": 3, "ZOMBIE 0x700": 1, "ZOMBIE 0xf": 1, "STOPPED 19": 1, "RUNNING leads a group": 1,
		"RUNNING leads a session": 1, "RUNNING signals 10": 1,
	}
	if fmt.Sprint(by) != fmt.Sprint(want) {
		t.Errorf("tasks %v\nwant  %v", by, want)
	}
	// The stopped child is still stopped, the others run.
	v.ok()
	time.Sleep(50 * time.Millisecond)
	out, _ := exec.Command("sh", "-c", fmt.Sprintf("cat /proc/[0-9]*/stat | awk '$4 == %d {print $3}' | sort | tr -d '\\n'", v.pid)).Output()
	if string(out) != "SSSTZZ" {
		t.Errorf("states of the children after the thaw: %s", out)
	}
	for _, task := range im.Tasks {
		if task.State == record.Task_STOPPED {
			freezeOnce(t, int(task.Pid)) // a second time, alone
			time.Sleep(10 * time.Millisecond)
			if s := state(int(task.Pid)); s != "T" {
				t.Errorf("the stopped task is in state %s after another freeze", s)
			}
			_ = unix.Kill(int(task.Pid), unix.SIGCONT)
			time.Sleep(50 * time.Millisecond)
			if s := state(int(task.Pid)); s != "S" {
				t.Errorf("the stopped task is in state %s after SIGCONT", s)
			}
		}
	}
}

func state(pid int) string {
	out, _ := exec.Command("awk", "{print $3}", fmt.Sprintf("/proc/%d/stat", pid)).Output()
	return strings.TrimSpace(string(out))
}

func TestFields(t *testing.T) {
	needRoot(t)
	v := start(t, compile(t, "shapes"), "fields")
	im := freezeOnce(t, v.pid)
	task, th := im.Tasks[0], im.Thread(int32(v.pid))
	usr1 := task.Actions[unix.SIGUSR1-1]
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"comm", task.Comm, "odd) name"},
		{"thread's comm", th.Comm, "odd) name"},
		{"umask", task.Umask, uint32(0o27)},
		{"nice", th.Sched.Nice, int32(5)},
		{"subreaper", task.ChildSubreaper, true},
		{"dumpable", task.Dumpable, uint32(0)}, // the change of uid
		{"timer slack", th.TimerSlackNs, uint64(123456)},
		{"NOFILE", task.Limits[unix.RLIMIT_NOFILE].Cur*1000 + task.Limits[unix.RLIMIT_NOFILE].Max, uint64(64128)},
		{"uids", fmt.Sprint(th.Creds.Ruid, th.Creds.Euid, th.Creds.Suid, th.Creds.Fsuid), "4321 4321 4321 4321"},
		{"gids", fmt.Sprint(th.Creds.Rgid, th.Creds.Egid, th.Creds.Sgid, th.Creds.Fsgid), "1234 1234 1234 1234"},
		{"capabilities", th.Creds.CapPermitted | th.Creds.CapEffective, uint64(0)},
		{"action's flags", usr1.Flags, uint64(0x10000000 | 0x40000000 | 0x4000000)},
		{"action's mask", usr1.Mask, uint64(1)},
		{"action is a function", usr1.Handler > 4096 && usr1.Restorer > 4096, true},
		{"SIGTTIN", task.Actions[unix.SIGTTIN-1].Handler, uint64(1)},
		{"altstack", th.Altstack.Size, uint64(1 << 16)},
		{"itimer", task.Itimers[0].IntervalUs, uint64(5e6)},
		{"itimer's rest", task.Itimers[0].ValueUs > 990e6 && task.Itimers[0].ValueUs <= 1000.5e6, true},
		{"timers", len(task.PosixTimers), 1},
		{"timer", fmt.Sprint(task.PosixTimers[0].Clock, task.PosixTimers[0].Notify, task.PosixTimers[0].Signo, task.PosixTimers[0].Sigval&0xffffffff, task.PosixTimers[0].IntervalNs), "1 0 12 77 3000000000"},
		{"timer's rest", task.PosixTimers[0].ValueNs > 1990e9 && task.PosixTimers[0].ValueNs <= 2000e9+250, true},
		{"mask", th.Sigmask, uint64(1<<(34) | 1<<(unix.SIGUSR2-1))},
		{"shared pending", fmt.Sprint(sigs(task.Pending)), "[35/1 35/2]"},
		{"own pending", fmt.Sprint(sigs(th.Pending)), "[12/0]"},
		{"clear_child_tid", th.ClearChildTid > 4096, true},
		{"robust list", th.RobustListLen, uint64(24)},
		{"rseq", th.Rseq != nil && th.Rseq.Signature == 0x53053053, true},
		{"exit signal", task.ExitSignal, uint32(unix.SIGCHLD)},
		{"xstate", len(th.Xstate) == int(im.Header.Cpu.XsaveSize), true},
		{"fs_base", th.Regs.FsBase > 4096, true},
		{"brk", task.Brk > 4096, true},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v instead of %v", c.what, c.got, c.want)
		}
	}
	v.ok()
	// The pending signals are still there.
	if again := freezeOnce(t, v.pid); fmt.Sprint(sigs(again.Tasks[0].Pending)) != "[35/1 35/2]" {
		t.Errorf("pending after the thaw: %v", sigs(again.Tasks[0].Pending))
	}
}

// sigs shows siginfos as signal/value.
func sigs(list []*record.SigInfo) []string {
	var out []string
	for _, s := range list {
		const code, value, queued = 8, 24, -1
		v := uint32(0)
		if int32(binary.LittleEndian.Uint32(s.Raw[code:])) == queued {
			v = binary.LittleEndian.Uint32(s.Raw[value:])
		}
		out = append(out, fmt.Sprintf("%d/%d", s.Raw[0], v))
	}
	return out
}

// TestMovingTargets freezes trees that change all the time.
func TestMovingTargets(t *testing.T) {
	needRoot(t)
	bin := compile(t, "shapes")
	for _, mode := range []string{"bomb", "threads", "vforks", "execs", "clocks", "catcher"} {
		t.Run(mode, func(t *testing.T) {
			v := start(t, bin, mode)
			rounds := 50
			tr := tracer.New()
			defer tr.Close()
			begin := time.Now()
			if err := tr.Do(func(p *tracer.Ptrace) error {
				for i := range rounds {
					if _, err := freeze(p, v.pid, allStopped); err != nil {
						return fmt.Errorf("round %d: %w\n%s", i, err, tasks(v.pid))
					}
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			t.Logf("%s a freeze", time.Since(begin)/time.Duration(rounds))
			v.ok()
			untouched(t, v.pid, "")
		})
	}
}

// allStopped looks at the tree as others see it: every descendant is in a
// tracing stop, outside of its vDSO, or dead.
func allStopped(tree *Tree, im *image.Image) error {
	out, _ := exec.Command("ps", "-eLo", "pid,ppid,tid,stat").Output()
	in := map[string]bool{fmt.Sprint(tree.Root): true}
	for range 4 { // generations
		for line := range strings.Lines(string(out)) {
			if f := strings.Fields(line); in[f[1]] {
				in[f[0]] = true
			}
		}
	}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if in[f[0]] && f[3][0] != 't' && f[3][0] != 'Z' {
			return fmt.Errorf("task %s is in state %s", f[2], f[3])
		}
		if in[f[0]] && im.Task(atoi(f[0])) == nil {
			return fmt.Errorf("task %s is not in the image", f[0])
		}
	}
	for _, proc := range tree.Procs {
		for _, th := range proc.Threads {
			if rip := im.Thread(int32(th.TID)).Regs.Rip; proc.inVDSO(rip) {
				return fmt.Errorf("thread %d stands in the vDSO", th.TID)
			}
		}
	}
	return nil
}

func atoi(s string) (n int32) {
	_, _ = fmt.Sscan(s, &n)
	return n
}

// TestRseq freezes a program that is in a critical section most of the time.
func TestRseq(t *testing.T) {
	needRoot(t)
	v := start(t, compile(t, "shapes"), "rseqs")
	var addr uint64
	if _, err := fmt.Sscanf(<-v.lines, "ok 0x%x", &addr); err != nil {
		t.Fatal(err)
	}
	tr := tracer.New()
	defer tr.Close()
	cut := 0
	if err := tr.Do(func(p *tracer.Ptrace) error {
		for range 300 {
			if _, err := freeze(p, v.pid, func(_ *Tree, im *image.Image) error {
				if im.Thread(int32(v.pid)).Rseq.CriticalSection != 0 {
					cut++
				}
				return tracer.WriteMem(tracer.TID(v.pid), tracer.Addr(addr), []byte{1})
			}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if cut == 0 {
		t.Error("no critical section was cut")
	}
	t.Logf("%d of 300 freezes cut a critical section", cut)
	v.ok()
}

func TestRefusals(t *testing.T) {
	needRoot(t)
	bin := compile(t, "shapes")
	for _, c := range []struct{ mode, want string }{
		{"seccomp", "seccomp strict mode"},
		{"unshared", "another uts namespace"},
		{"leaderless", "first thread has ended"},
	} {
		v := start(t, bin, c.mode)
		if err := Refuse(v.pid); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", c.mode, err)
		}
		v.ok()
	}
	v := start(t, bin, "plain")
	if err := Refuse(v.pid); err != nil {
		t.Errorf("a plain program: %v", err)
	}
	tr := tracer.New()
	defer tr.Close()
	if err := tr.Do(func(p *tracer.Ptrace) error {
		_, err := freeze(p, v.pid, func(*Tree, *image.Image) error {
			if err := Refuse(v.pid); err == nil || !strings.Contains(err.Error(), "already traced") {
				t.Errorf("a traced program: %v", err)
			}
			return nil
		})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	cases := map[int]string{
		1: "init of this pid namespace", unix.Getpid(): "freeze itself", unix.Getppid(): "ancestor",
		1 << 22: "no such process", 0: "no pid",
	}
	if comm, _ := os.ReadFile("/proc/2/comm"); string(comm) == "kthreadd\n" { // in the first pid namespace
		cases[2] = "kernel thread"
	}
	for pid, want := range cases {
		if err := Refuse(pid); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d: %v", pid, err)
		}
	}
}

// TestUnstoppable has a task that waits for its vfork child.
func TestUnstoppable(t *testing.T) {
	needRoot(t)
	v := start(t, compile(t, "shapes"), "longvfork")
	time.Sleep(20 * time.Millisecond)
	tr := tracer.New()
	defer tr.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	var err error
	_ = tr.Do(func(p *tracer.Ptrace) error {
		_, err = Freeze(ctx, p, v.pid)
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "vfork") || errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("the error is %v", err)
	}
	tr.Close()
	out, _ := exec.Command("pgrep", "-P", fmt.Sprint(v.pid)).Output()
	untouched(t, int(atoi(string(out))), "")
	_ = unix.Kill(int(atoi(string(out))), unix.SIGKILL)
	v.ok()
}
