package inject

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"floe/lib/stub"
	"floe/lib/tracer"
)

// freePID finds an unused pid well above those in use.
func freePID(t *testing.T) tracer.TID {
	t.Helper()
	for pid := os.Getpid() + 1000; pid < 32000; pid++ {
		if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); os.IsNotExist(err) {
			return tracer.TID(pid)
		}
	}
	t.Fatal("no free pid")
	return 0
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test needs root: clone3 with set_tid does")
	}
}

func TestPuppetBecomesProcessWithThread(t *testing.T) {
	needRoot(t)
	tr := tracer.New()
	defer tr.Close()
	pid := freePID(t)
	err := tr.Do(func(p *tracer.Ptrace) error {
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
	_ = unix.Kill(int(pid), unix.SIGKILL)
}
