package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// series are measurements.
type series []float64

func (s series) String() string {
	s = slices.Sorted(slices.Values(s))
	return fmt.Sprintf("min %.2f  median %.2f  max %.2f", s[0], s[len(s)/2], s[len(s)-1])
}

// median is the one in the middle.
func (s series) median() float64 { return slices.Sorted(slices.Values(s))[len(s)/2] }

// victim is a process that is measured. What it writes goes to a file.
type victim struct {
	pid    int
	output string
	read   int64 // bytes of output
}

// start starts a victim and waits for its first line.
func (b *bench) start(name string, args ...string) (*victim, error) {
	v := &victim{output: filepath.Join(b.tmp, name+".out")}
	out, err := os.Create(v.output)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(filepath.Join(b.tmp, name), args...)
	cmd.Stdout = out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	v.pid = cmd.Process.Pid
	_, err = v.line()
	return v, err
}

// line waits for the next line of output.
func (v *victim) line() (string, error) {
	for {
		f, err := os.Open(v.output)
		if err != nil {
			return "", err
		}
		_, err = f.Seek(v.read, 0)
		s := bufio.NewScanner(f)
		ok := s.Scan()
		f.Close()
		if err != nil {
			return "", err
		}
		if ok {
			v.read += int64(len(s.Bytes())) + 1
			return s.Text(), nil
		}
		if err := unix.Kill(v.pid, 0); err != nil {
			return "", fmt.Errorf("process %d: %w", v.pid, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// number waits for a line that has begun after now, and reads its number.
func (v *victim) number() (float64, error) {
	st, err := os.Stat(v.output)
	if err != nil {
		return 0, err
	}
	v.read = st.Size()
	if _, err := v.line(); err != nil { // may have begun before
		return 0, err
	}
	s, err := v.line()
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(s, 64)
}

// checkpoint writes an image with the whole pipeline; the victim is dead then.
// With kill the pipeline does that, which is once the image is on disk.
func (v *victim) checkpoint(image string, kill bool) (time.Duration, error) {
	then := "thaw"
	if kill {
		then = "kill"
	}
	took, err := v.pipeline(then, image)
	v.kill()
	return took, err
}

// save writes an image, and the victim runs on.
func (v *victim) save(image string) (time.Duration, error) { return v.pipeline("thaw", image) }

func (v *victim) pipeline(then, image string) (time.Duration, error) {
	return shell(fmt.Sprintf("freeze --then %s %d | vmadump | vdsoprobe | fddump | pagedump >%s", then, v.pid, image))
}

func (v *victim) restore(image, mode string) (time.Duration, error) {
	return shell(fmt.Sprintf("restore -q -d --vdso %s <%s", mode, image))
}

// shell times a command line. The last stage's status is the pipeline's.
func shell(line string) (time.Duration, error) {
	var text bytes.Buffer
	cmd := exec.Command("sh", "-c", line)
	cmd.Stderr = &text
	begin := time.Now()
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("%s: %w: %s", line, err, &text)
	}
	return time.Since(begin), nil
}

// measured runs the programs once more, each under a shell that says what it
// had resident at most.
func (v *victim) measured(image string) (string, error) {
	var text bytes.Buffer
	run := func(line string) error {
		cmd := exec.Command("bash", "-c", "set -o pipefail; m() { perl -e '"+measure+"' \"$@\"; }; "+line)
		cmd.Stderr = &text
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w: %s", line, err, &text)
		}
		return nil
	}
	if err := run(fmt.Sprintf("m freeze -q %d | m vmadump -q | m vdsoprobe -q | m fddump -q | m pagedump -q >%s", v.pid, image)); err != nil {
		return "", err
	}
	v.kill()
	if err := run(fmt.Sprintf("cat %s | m restore -q -d", image)); err != nil {
		return "", err
	}
	list := strings.Split(strings.TrimSpace(text.String()), "\n")
	slices.Sort(list)
	return strings.Join(list, "  "), nil
}

// measure runs a command and prints its name and its maximum of resident
// memory, MiB: ru_maxrss of getrusage(2) for children.
const measure = `$p = fork; if (!$p) { exec @ARGV or die } waitpid $p, 0; $s = $? >> 8; $r = "\0" x 144; ` +
	`syscall(98, -1, $r) == 0 or die; printf STDERR "%s %.1f\n", $ARGV[0], (unpack "q18", $r)[4] / 1024; exit $s`

func (v *victim) kill() {
	_ = unix.Kill(v.pid, unix.SIGKILL)
	var ws syscall.WaitStatus
	_, _ = syscall.Wait4(v.pid, &ws, 0, nil)
}
