// Package harness starts victims, checkpoints and restores them with the real
// programs, and looks at what they leave behind. The tests that use it need
// root and a process of their own: see Main.
package harness

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Bin is the folder of the programs under test.
var Bin string

// Scratch is a folder of this test process, readable by every user.
var Scratch string

// Main runs a package's tests: TestMain calls it.
func Main(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	if os.Geteuid() != 0 {
		return 1, fmt.Errorf("these tests freeze, kill and restore real processes: run them as root")
	}
	if err := build(); err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "floe-test-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	Scratch = dir
	if err := os.Chmod(dir, 0o755); err != nil {
		return 1, err
	}
	tmp := filepath.Join(dir, "tmp")
	if err := errors.Join(os.Mkdir(tmp, 0o700), os.Setenv("TMPDIR", tmp)); err != nil {
		return 1, err
	}
	if err := prepare(); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

func prepare() error {
	// Descriptors that whoever started this test left open are not the victims'.
	if err := unix.CloseRange(3, 1<<20, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("close_range: %w", err)
	}
	heedSignals()
	if err := manyPids(); err != nil {
		return err
	}
	return becomeReaper()
}

// heedSignals has the programs start with signals that do what they do by default:
// whoever started this test in the background, or with nohup, may have had some
// ignored, and that is inherited. A signal that is caught is not.
func heedSignals() {
	for sig := syscall.Signal(1); sig < 32; sig++ {
		if sig != unix.SIGKILL && sig != unix.SIGSTOP && signal.Ignored(sig) {
			signal.Notify(make(chan os.Signal, 1), sig)
		}
	}
}

// manyPids makes the kernel give out so many ids that one that was just freed
// is not soon another process's.
func manyPids() error {
	const path, enough = "/proc/sys/kernel/pid_max", 1 << 20
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if n, err := strconv.Atoi(strings.TrimSpace(string(b))); err != nil || n >= enough {
		return err
	}
	_ = os.WriteFile(path, []byte(strconv.Itoa(enough)), 0) // not in a container
	return nil
}

// Root is the top folder of the repository.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("no go.mod above the working directory")
		}
		dir = up
	}
}

// build builds the programs, unless FLOE_BIN names a folder that has them.
func build() error {
	root, err := Root()
	if err != nil {
		return err
	}
	if Bin = os.Getenv("FLOE_BIN"); Bin == "" {
		Bin = filepath.Join(root, "bin")
		if out, err := exec.Command("make", "-s", "-C", root, "all").CombinedOutput(); err != nil {
			return fmt.Errorf("make: %w\n%s", err, out)
		}
	}
	return os.Setenv("PATH", Bin+":"+os.Getenv("PATH"))
}

// TemporaryFiles are the files that the programs have left in $TMPDIR.
func TemporaryFiles(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}
