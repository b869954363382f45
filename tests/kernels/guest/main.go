// guest runs a job on the kernel that is to be tested: as the first process of
// a virtual machine, or, with the names of a file and of a folder, as the first
// process of a pid and a mount namespace on this machine.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"floe/tests/kernels/job"
)

func main() {
	begun := time.Now()
	shared, err := prepare()
	if err == nil {
		err = guarded(func() error { return work(shared, begun) })
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "guest: %v\n", err)
	}
	if len(os.Args) == 1 {
		_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	}
	if err != nil {
		os.Exit(1)
	}
}

// guarded makes an error of a panic: the end of the first process would look
// like a crash of the kernel.
func guarded(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return f()
}

func prepare() ([]byte, error) {
	if len(os.Args) == 1 {
		for _, m := range []struct{ dir, kind string }{{"/proc", "proc"}, {"/dev", "devtmpfs"}, {"/sys", "sysfs"}, {"/tmp", "tmpfs"}} {
			if err := mount(m.dir, m.kind); err != nil {
				return nil, err
			}
		}
		return device()
	}
	f, err := os.OpenFile(os.Args[1], os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := unix.Mmap(int(f.Fd()), 0, job.Size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	return b, newRoot(os.Args[2])
}

func mount(dir, kind string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(kind, dir, kind, 0, ""); err != nil && !errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("mount of %s: %w", dir, err)
	}
	return nil
}

// newRoot makes a folder the root, like that of a virtual machine.
func newRoot(dir string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount of %s: %w", dir, err)
	}
	for name, kind := range map[string]string{"proc": "proc", "tmp": "tmpfs"} {
		if err := mount(filepath.Join(dir, name), kind); err != nil {
			return err
		}
	}
	for _, name := range []string{"dev", "sys"} {
		to := filepath.Join(dir, name)
		if err := os.MkdirAll(to, 0o755); err != nil {
			return err
		}
		if err := unix.Mount("/"+name, to, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("mount of %s: %w", to, err)
		}
	}
	if err := os.Chdir(dir); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return err
	}
	return os.Chdir("/")
}

// device finds the memory that is shared with the machine outside.
func device() ([]byte, error) {
	devices, err := filepath.Glob("/sys/bus/pci/devices/*")
	if err != nil {
		return nil, err
	}
	for _, d := range devices {
		if text(d+"/vendor") != "0x1af4" || text(d+"/device") != "0x1110" {
			continue
		}
		if err := os.WriteFile(d+"/enable", []byte("1"), 0); err != nil {
			return nil, err
		}
		f, err := os.OpenFile(d+"/resource2", os.O_RDWR, 0)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return unix.Mmap(int(f.Fd()), 0, job.Size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	}
	return nil, fmt.Errorf("no shared memory among %d PCI devices", len(devices))
}

func text(path string) string {
	b, _ := os.ReadFile(path)
	return strings.TrimSpace(string(b))
}

func work(shared []byte, begun time.Time) error {
	in, out := shared[:job.Size/2], shared[job.Size/2:]
	report := job.Report{Kernel: text("/proc/sys/kernel/osrelease"), Clock: text("/sys/devices/system/clocksource/clocksource0/current_clocksource")}
	var up unix.Sysinfo_t
	if err := unix.Sysinfo(&up); err == nil {
		report.Up = time.Duration(up.Uptime) * time.Second
	}
	var j job.Job
	if err := job.Unpack(in, &j, place); err != nil {
		return err
	}
	if err := os.Setenv("PATH", "/bin"); err != nil {
		return err
	}
	// What this program has inherited is not the processes'.
	if err := unix.CloseRange(3, 1<<20, unix.CLOSE_RANGE_CLOEXEC); err != nil && len(os.Args) > 1 {
		return err
	}
	if err := drop(j.Bounding); err != nil {
		return err
	}
	if err := os.MkdirAll("/img", 0o700); err != nil {
		return err
	}
	can, err := exec.Command("freeze", "--features").CombinedOutput()
	if err != nil {
		return fmt.Errorf("freeze --features: %w: %s", err, can)
	}
	report.Can = string(can)
	var images []job.File
	for _, l := range j.Legs {
		r := job.Result{Name: l.Name}
		from := time.Now()
		if err := guarded(func() error { return run(l, &r) }); err != nil {
			r.Failed = err.Error()
		}
		r.Took = time.Since(from)
		if l.Dump != "" {
			if b, err := os.ReadFile(l.Dump); err == nil && r.Failed == "" {
				images = append(images, job.File{Name: l.Dump, Mode: 0o600, Data: b})
			}
		}
		report.Results = append(report.Results, r)
	}
	report.Took = time.Since(begun)
	return job.Pack(out, &report, images)
}

// drop takes all capabilities but those of keep from what is started: a process
// can have no more on one machine than on another that it moves to.
func drop(keep uint64) error {
	last, err := strconv.Atoi(text("/proc/sys/kernel/cap_last_cap"))
	if err != nil {
		return err
	}
	for c := range last + 1 {
		if keep>>c&1 != 0 {
			continue
		}
		if _, _, e := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, uintptr(c), 0); e != 0 {
			return fmt.Errorf("capability %d: %w", c, e)
		}
	}
	return nil
}

// place puts a file where it belongs.
func place(f job.File) error {
	path := "/" + f.Name
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, f.Data) {
		return nil // it has the identity that an image may have kept
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if f.Link != "" {
		return os.Symlink(f.Link, path)
	}
	if err := os.WriteFile(path, f.Data, os.FileMode(f.Mode)); err != nil {
		return err
	}
	if f.Time.IsZero() {
		return nil
	}
	return os.Chtimes(path, f.Time, f.Time)
}
