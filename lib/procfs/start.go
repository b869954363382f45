package procfs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// ReadInto reads the beginning of a small file into b and returns what it
// read. It takes three system calls where os.ReadFile takes nine, which is
// what counts with thousands of threads.
func ReadInto(path string, b []byte) ([]byte, error) { return ReadIntoAt(unix.AT_FDCWD, path, b) }

// ReadIntoAt is ReadInto with the path relative to an open directory.
func ReadIntoAt(dir int, path string, b []byte) ([]byte, error) {
	fd, err := retry(func() (int, error) { return unix.Openat(dir, path, unix.O_RDONLY|unix.O_CLOEXEC, 0) })
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	n, err := retry(func() (int, error) { return unix.Read(fd, b) })
	if err != nil {
		return nil, &os.PathError{Op: "read", Path: path, Err: err}
	}
	return b[:n], nil
}

func retry(f func() (int, error)) (int, error) {
	for {
		if n, err := f(); !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// statSize is more than a stat file has: bytes.
const statSize = 2048

// StartTime is when a task started, clock ticks since boot. With a pid it
// names a process for good.
func StartTime(pid int) (uint64, error) {
	var buf [statSize]byte
	b, err := ReadInto("/proc/"+strconv.Itoa(pid)+"/stat", buf[:])
	if err != nil {
		return 0, err
	}
	_, start, err := StateAndStart(b)
	if err != nil {
		return 0, fmt.Errorf("/proc/%d/%w", pid, err)
	}
	return start, nil
}

// StateAndStart takes the state ('R', 'S', 't', 'Z', …) and the start time out
// of a stat file, fields 3 and 22.
func StateAndStart(stat []byte) (state byte, start uint64, err error) {
	const stateField, startField = 3, 22
	i := bytes.LastIndexByte(stat, ')')
	if i < 0 || len(stat) < i+3 {
		return 0, 0, fmt.Errorf("stat: no comm in it")
	}
	rest := stat[i+2:]
	state = rest[0]
	for range startField - stateField {
		_, after, ok := bytes.Cut(rest, []byte(" "))
		if !ok {
			return 0, 0, fmt.Errorf("stat: too few fields")
		}
		rest = after
	}
	field, _, _ := bytes.Cut(rest, []byte(" "))
	start, err = strconv.ParseUint(string(field), 10, 64)
	if err != nil {
		return 0, 0, fmt.Errorf("stat: start time: %w", err)
	}
	return state, start, nil
}
