package procfs

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Threads lists the thread ids of a process, in order.
func Threads(pid int) ([]int, error) { return numbers(fmt.Sprintf("/proc/%d/task", pid)) }

// Processes lists all process ids.
func Processes() ([]int, error) { return numbers("/proc") }

// numbers lists the numeric names of a directory, in order.
func numbers(dir string) ([]int, error) {
	d, err := Open(dir, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var out []int
	for _, n := range names {
		if id, err := strconv.Atoi(n); err == nil {
			out = append(out, id)
		}
	}
	return out, nil
}

// Children lists the children of one thread of a process. Kernels without
// CONFIG_PROC_CHILDREN have no file for it: then the first thread is given all
// children of the process.
func Children(pid, tid int) ([]int, error) {
	b, err := ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, tid))
	if errors.Is(err, os.ErrNotExist) && pid == tid {
		if _, serr := os.Stat(fmt.Sprintf("/proc/%d", pid)); serr == nil {
			return scanChildren(pid)
		}
	}
	if err != nil {
		return nil, err
	}
	out, err := parseChildren(b)
	if err != nil {
		return nil, fmt.Errorf("/proc/%d/task/%d/%w", pid, tid, err)
	}
	return out, nil
}

// parseChildren parses the contents of a children file.
func parseChildren(b []byte) ([]int, error) {
	var out []int
	for _, f := range strings.Fields(string(b)) {
		n, err := strconv.Atoi(f)
		if err != nil {
			return nil, fmt.Errorf("children: %w", err)
		}
		out = append(out, n)
	}
	return out, nil
}

func scanChildren(pid int) ([]int, error) {
	all, err := Processes()
	if err != nil {
		return nil, err
	}
	var out []int
	for _, p := range all {
		if s, err := ReadStat(p); err == nil && s.PPID == pid {
			out = append(out, p)
		}
	}
	return out, nil
}
