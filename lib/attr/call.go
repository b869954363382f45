package attr

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"floe/lib/procfs"
	"floe/lib/stub"
)

// call is a system call without data.
func call(what string, nr uint64, args ...uint64) stub.Call {
	c := stub.Call{What: what, Nr: nr}
	for _, a := range args {
		c.Args = append(c.Args, stub.I(a))
	}
	return c
}

// prctl gives all five arguments: those that an operation does not use must be 0.
func prctl(what string, op uint64, args ...uint64) stub.Call {
	return call(what, unix.SYS_PRCTL, append(append([]uint64{op}, args...), make([]uint64, 4-len(args))...)...)
}

// procNumber reads a number from a file of a task's. Where the kernel has no such
// file it is absent.
func procNumber(id int, name string, base int, absent uint64) (uint64, error) {
	path := fmt.Sprintf("/proc/%d/%s", id, name)
	b, err := procfs.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return absent, nil
	} else if err != nil {
		return 0, err
	}
	v, err := strconv.ParseUint(strings.TrimSpace(string(b)), base, 64)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return v, nil
}

// inFile is a list of calls that has a task write to a file that only it may write.
func inFile(path, text string) []stub.Call {
	at := unix.AT_FDCWD
	return []stub.Call{
		{What: "open of " + path, Nr: unix.SYS_OPENAT, Args: []stub.Arg{stub.I(at), stub.S(path), stub.I(unix.O_WRONLY)}},
		{What: "write to " + path, Nr: unix.SYS_WRITE, Args: []stub.Arg{stub.R(0), stub.D([]byte(text)), stub.I(len(text))}},
		{What: "close of " + path, Nr: unix.SYS_CLOSE, Args: []stub.Arg{stub.R(0)}},
	}
}

// onOff is a switch as a call takes it.
func onOff(on bool) uint64 {
	if on {
		return 1
	}
	return 0
}
