package kernels

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"floe/tests/kernels/job"
)

// own is the kernel that the tests run on.
const own = "own"

// kernels are those of the matrix.
var kernels = []string{"5.10", "6.1", "6.12", "7.2", own}

// boots bounds how many machines run at a time.
var boots = make(chan struct{}, 2)

// limit is how long one boot may take.
const limit = 150 * time.Second

// attempts are how often a machine is booted whose kernel has crashed: the
// emulator makes that happen now and then. Nothing else is tried twice.
const attempts = 3

// powerOff is what every kernel says in the end.
var powerOff = regexp.MustCompile(`\[[ 0-9.]+\] reboot: Power down`)

// machine runs a job on a kernel, and returns the images that it made.
func machine(t *testing.T, kernel string, j job.Job, more []job.File) (*job.Report, map[string][]byte, error) {
	boots <- struct{}{}
	defer func() { <-boots }()
	dir, err := os.MkdirTemp(scratch, "machine-")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "shared")
	shared, err := share(path)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = unix.Munmap(shared) }()
	if j.Bounding, err = bounding(); err != nil {
		return nil, nil, err
	}
	if err := job.Pack(shared[:job.Size/2], &j, append(slices.Clone(files), more...)); err != nil {
		return nil, nil, err
	}
	begun := time.Now()
	for attempt := 1; ; attempt++ {
		clear(shared[job.Size/2 : job.Size/2+4096])
		var console string
		if kernel == own {
			console, err = namespace(path, filepath.Join(scratch, t.Name()))
		} else {
			console, err = emulate(kernel, path, dir)
		}
		if crashed(console) && attempt < attempts {
			t.Logf("%s: the emulated kernel crashed, attempt %d:\n%s", kernel, attempt, tail(console))
			continue
		}
		r, images, e := results(shared, len(j.Legs))
		if e != nil {
			return nil, nil, fmt.Errorf("%s: no report: %w; the machine: %w\n%s", kernel, e, err, tail(console))
		}
		t.Logf("%-5s %s, clocksource %s: %.1f s, %.1f s of them at work", kernel, r.Kernel, r.Clock, time.Since(begun).Seconds(), r.Took.Seconds())
		for _, l := range r.Results {
			t.Logf("%-5s   %-16s %4.1f s, dump %4.2f s, restore %4.2f s %-8s %s", kernel, l.Name, l.Took.Seconds(), l.Dump.Seconds(), l.Back.Seconds(), l.Method, outcome(&l))
		}
		if console := strings.TrimSpace(powerOff.ReplaceAllString(console, "")); console != "" {
			t.Logf("%s: console:\n%s", kernel, tail(console))
		}
		if !strings.HasPrefix(r.Clock, "tsc") && kernel != own {
			return nil, nil, fmt.Errorf("%s: the clocksource is %s: the vDSO would only make system calls", kernel, r.Clock)
		}
		return r, images, nil
	}
}

// results reads what a machine has left.
func results(shared []byte, legs int) (*job.Report, map[string][]byte, error) {
	var r job.Report
	images := map[string][]byte{}
	err := job.Unpack(shared[job.Size/2:], &r, func(f job.File) error { images[f.Name] = f.Data; return nil })
	if err == nil && len(r.Results) != legs {
		err = fmt.Errorf("%d results of %d", len(r.Results), legs)
	}
	return &r, images, err
}

// outcome is what a process said last, or what went wrong with it.
func outcome(r *job.Result) string {
	switch {
	case r.Failed != "":
		return "FAILED: " + r.Failed
	case len(r.Lines) == 0:
		return ""
	}
	return r.Lines[len(r.Lines)-1]
}

// share makes the memory.
func share(path string) ([]byte, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := f.Truncate(job.Size); err != nil {
		return nil, err
	}
	return unix.Mmap(int(f.Fd()), 0, job.Size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

// bounding are the capabilities that this machine allows, but for one that some
// machines don't.
func bounding() (uint64, error) {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(b), "\nCapBnd:")
	var v uint64
	if _, err := fmt.Sscanf(rest, "%x", &v); err != nil {
		return 0, fmt.Errorf("capabilities: %w", err)
	}
	return v &^ (1 << unix.CAP_SYS_RESOURCE), nil
}

func crashed(console string) bool { return strings.Contains(console, "Kernel panic - not syncing") }

func tail(s string) string {
	const most = 3000
	if len(s) > most {
		return "…" + s[len(s)-most:]
	}
	return s
}

// emulate boots a kernel whose only program is the guest.
func emulate(kernel, shared, dir string) (string, error) {
	console := filepath.Join(dir, "console")
	if err := os.WriteFile(console, nil, 0o600); err != nil {
		return "", err
	}
	cmd := exec.Command("qemu-system-x86_64", "-m", "768", "-accel", "tcg,thread=single", "-smp", "2", "-cpu", "max",
		"-kernel", filepath.Join(cache, kernel, "vmlinuz"), "-initrd", initrd, "-append", "console=ttyS0 quiet oops=panic panic=-1 tsc=reliable cryptomgr.notests",
		"-display", "none", "-monitor", "none", "-no-reboot", "-nic", "none", "-serial", "file:"+console,
		"-object", fmt.Sprintf("memory-backend-file,id=shared,share=on,size=%d,mem-path=%s", job.Size, shared), "-device", "ivshmem-plain,memdev=shared")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := bounded(cmd)
	b, rerr := os.ReadFile(console)
	if rerr != nil {
		return "", rerr
	}
	return string(out) + string(b), err
}

// namespace runs the guest in namespaces of its own, with a folder as its root:
// the same one for all of a test, since files have an identity on one boot.
func namespace(shared, root string) (string, error) {
	if err := os.MkdirAll(root, 0o755); err != nil {
		return "", err
	}
	cmd := exec.Command(guest, shared, root)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	out, err := bounded(cmd)
	return string(out), err
}

// bounded runs a command for no longer than limit.
func bounded(cmd *exec.Cmd) ([]byte, error) {
	runtime.LockOSThread() // whose end would be the command's, too
	defer runtime.UnlockOSThread()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	stop := time.AfterFunc(limit, func() { _ = cmd.Process.Kill() })
	err := cmd.Wait()
	if !stop.Stop() {
		err = fmt.Errorf("it has not ended in %s", limit)
	}
	return out.Bytes(), err
}
