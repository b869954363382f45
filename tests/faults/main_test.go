// Package faults fails every system call of every program once, and looks at
// what is left: nothing, or everything.
//
// The program under test runs under a seccomp filter that hands each of its
// system calls to this process (SECCOMP_RET_USER_NOTIF), and of all that it
// makes: restore's puppets inherit the filter, so their calls count as well.
// One call is answered with an error, or the program is killed there; all
// others go on as they are.
package faults

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"floe/tests/harness"
)

var (
	everything = flag.Bool("all", false, "fail every system call, not a sample of them")
	seedFlag   = flag.Uint64("seed", 0, "where the sample starts; 0: anywhere")
	only       = flag.String("only", "", "the points whose name contains this, with every error")
)

func TestMain(m *testing.M) {
	if os.Getpid() != 1 {
		os.Exit(inNamespace())
	}
	harness.Main(m)
}

// inNamespace runs this program again as the first process of a pid namespace:
// any process id is free there, and nobody else's processes come and go.
func inNamespace() int {
	// The shell mounts /proc, since this program reads it before main.
	const script = `mount --make-rprivate / && mount -t proc proc /proc && exec "$0" "$@"`
	cmd := exec.Command("/bin/sh", append([]string{"-c", script, exe()}, os.Args[1:]...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Run(); err != nil {
		if e, ok := err.(*exec.ExitError); ok {
			return e.ExitCode()
		}
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func exe() string {
	path, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return path
}
