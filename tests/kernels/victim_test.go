package kernels

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"floe/lib/vdso"
)

// TestVictimNotices breaks one function of a victim's vDSO after the other: it
// has to say so, or what it says of the others is worth nothing.
func TestVictimNotices(t *testing.T) {
	here, err := vdso.Here()
	if err != nil {
		t.Fatal(err)
	}
	for name, says := range map[string]string{
		"__vdso_clock_gettime": "clock_gettime(",
		"__vdso_gettimeofday":  "gettimeofday",
		"__vdso_time":          "time",
		"__vdso_clock_getres":  "clock_getres(",
		"__vdso_getcpu":        "getcpu",
		"__vdso_getrandom":     "getrandom",
	} {
		s := here.Image.Lookup(name)
		if s == nil {
			t.Logf("this kernel has no %s", name)
			continue
		}
		if line := broken(t, s.Offset); !strings.HasPrefix(line, "WRONG "+says) {
			t.Errorf("%s without an effect: the victim says %q", name, line)
		}
	}
}

// broken makes a victim's function return nothing, and is what the victim says.
func broken(t *testing.T, offset uint64) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(scratch, "vdso"))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
	for s := bufio.NewScanner(out); s.Scan(); {
		switch first, _, _ := strings.Cut(s.Text(), " "); first {
		case "ready":
			continue
		case "ok":
			if err := stub(cmd.Process.Pid, offset); err != nil {
				t.Fatal(err)
			}
			offset = 0
		default:
			return s.Text()
		}
	}
	return "nothing more"
}

// stub writes "xor eax, eax; ret" to a place in the code of a process's vDSO.
func stub(pid int, offset uint64) error {
	if offset == 0 {
		return nil // done before
	}
	_, areas, done, err := vdso.OpenProcess(fmt.Sprint(pid))
	if err != nil {
		return err
	}
	done()
	code, ok, err := vdso.Code(areas)
	if err != nil || !ok {
		return fmt.Errorf("no vDSO: %w", err)
	}
	mem, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer mem.Close()
	_, err = mem.WriteAt([]byte{0x31, 0xc0, 0xc3}, int64(code.Start+offset))
	return err
}
