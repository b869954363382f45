// capture prints the vDSO of the kernel that it runs on: the lines of
// /proc/self/smaps about its areas, an empty line, and the bytes in base64. As
// pid 1 of a virtual machine it prints to the second serial line, and switches
// the machine off.
package main

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"floe/lib/procfs"
	"floe/lib/vdso"
)

func main() {
	out, err := os.Stdout, error(nil)
	if os.Getpid() == 1 {
		out, err = boot()
	}
	if err == nil {
		err = capture(out)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "capture: %v\n", err)
	}
	if os.Getpid() == 1 {
		_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	}
	if err != nil {
		os.Exit(1)
	}
}

// boot makes what a program needs that is alone on a machine.
func boot() (*os.File, error) {
	for dir, kind := range map[string]string{"/proc": "proc", "/dev": "devtmpfs"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
		if err := unix.Mount(kind, dir, kind, 0, ""); err != nil && err != unix.EBUSY {
			return nil, fmt.Errorf("mount of %s: %w", dir, err)
		}
	}
	tty, err := os.OpenFile("/dev/ttyS1", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	t, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		return nil, err
	}
	t.Oflag &^= unix.OPOST
	return tty, unix.IoctlSetTermios(int(tty.Fd()), unix.TCSETSW, t)
}

func capture(w io.Writer) error {
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return err
	}
	defer f.Close()
	areas, code, err := vdso.Own()
	if err != nil {
		return err
	}
	b := bufio.NewWriter(w)
	keep := false
	for s := bufio.NewScanner(f); s.Scan(); {
		if ms, err := procfs.ParseMappings(strings.NewReader(s.Text())); err == nil && len(ms) == 1 {
			keep = false
			for _, a := range areas {
				keep = keep || ms[0].Start >= a.Start && ms[0].End <= a.End
			}
		}
		if keep {
			fmt.Fprintln(b, s.Text())
		}
	}
	fmt.Fprintln(b)
	const width = 76
	for text := base64.StdEncoding.EncodeToString(code); len(text) > 0; {
		n := min(width, len(text))
		fmt.Fprintln(b, text[:n])
		text = text[n:]
	}
	return b.Flush()
}
