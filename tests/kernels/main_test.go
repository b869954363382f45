// Package kernels moves processes between kernels: Debian's 5.10, 6.1, 6.12 and
// 7.2, emulated, and the machine's own.
package kernels

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"floe/tests/kernels/job"
)

// Made once in a test process.
var (
	scratch string     // folder
	bin     string     // folder of floe's programs
	cache   string     // folder of the kernels
	guest   string     // the guest program
	initrd  string     // an initramfs with nothing else
	files   []job.File // that every machine has: floe's programs, the victims
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if os.Geteuid() != 0 {
		err = fmt.Errorf("these tests freeze, kill and restore real processes: run them as root")
	}
	if err == nil {
		err = tools()
	}
	if err == nil {
		scratch, err = os.MkdirTemp("", "floe-test-")
		defer os.RemoveAll(scratch)
	}
	if err == nil {
		err = build()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "kernels:", err)
		return 1
	}
	return m.Run()
}

// tools looks for what the tests need.
func tools() error {
	for name, pkg := range map[string]string{"qemu-system-x86_64": "qemu-system-x86", "cpio": "cpio", "gcc": "gcc", "python3": "python3"} {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("%s is missing: install Debian's package %s (make deps)", name, pkg)
		}
	}
	begun := time.Now()
	cmd := exec.Command("./fetch")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("the kernels could not be fetched: %w", err)
	}
	cache = strings.TrimSpace(string(out))
	cache = cache[strings.LastIndexByte(cache, '\n')+1:]
	for _, k := range kernels {
		if _, err := os.Stat(filepath.Join(cache, k, "vmlinuz")); err != nil && k != own {
			return fmt.Errorf("kernel %s is missing: %w", k, err)
		}
	}
	fmt.Printf("kernels: fetched or found in %.1f s\n", time.Since(begun).Seconds())
	return nil
}

// build compiles the guest and the victims.
func build() error {
	begun := time.Now()
	bin = os.Getenv("FLOE_BIN")
	if bin == "" {
		bin = "../../bin"
		if out, err := exec.Command("make", "-s", "-C", "../..", "all").CombinedOutput(); err != nil {
			return fmt.Errorf("make: %w\n%s", err, out)
		}
	}
	dir := scratch
	guest, initrd = filepath.Join(dir, "init"), filepath.Join(dir, "initrd")
	victim := filepath.Join(dir, "vdso")
	clock, memory := filepath.Join(dir, "goclock"), filepath.Join(dir, "memory")
	for _, args := range [][]string{
		{"go", "build", "-trimpath", "-ldflags", "-s -w", "-o", guest, "./guest"},
		{"go", "build", "-trimpath", "-o", clock, "./victim/goclock"},
		{"gcc", "-static", "-O2", "-march=x86-64", "-Wall", "-pthread", "-o", victim, "victim/vdso.c"},
		{"gcc", "-static", "-O2", "-march=x86-64", "-Wall", "-o", memory, "victim/memory.c"},
		{"sh", "-c", "cd " + dir + " && echo init | cpio -o -H newc --quiet >initrd"},
	} {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %w\n%s", args, err, out)
		}
	}
	var err error
	for _, p := range []string{"freeze", "vmadump", "vdsoprobe", "fddump", "pagedump", "restore"} {
		err = errors.Join(err, add("bin/"+p, filepath.Join(bin, p)))
	}
	err = errors.Join(err, add("victim/vdso", victim), add("victim/goclock", clock), add("victim/memory", memory))
	fmt.Printf("kernels: compiled in %.1f s\n", time.Since(begun).Seconds())
	return err
}

// add gives every machine a file.
func add(name, path string) error {
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	files = append(files, job.File{Name: name, Mode: int64(st.Mode().Perm()), Time: st.ModTime(), Data: b})
	return nil
}
