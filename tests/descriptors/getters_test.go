package descriptors

import (
	"encoding/hex"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

// getter is a question that a descriptor can be asked without any effect.
type getter struct {
	name  string
	ioctl bool
	how   uint
	bytes int // that the answer takes in memory; 0: it is what the call returns
}

// getters are those of fcntl(2), all of them: include/uapi/linux/fcntl.h and
// include/uapi/asm-generic/fcntl.h; and the ioctls that give what no file of
// /proc shows.
var getters = []getter{
	{name: "F_GETFL", how: unix.F_GETFL}, // F_GETFD is the flags of fdinfo
	{name: "F_GETOWN_EX", how: unix.F_GETOWN_EX, bytes: 8},
	{name: "F_GETOWNER_UIDS", how: 17, bytes: 8},
	{name: "F_GETSIG", how: 11},
	{name: "F_GETLEASE", how: unix.F_GETLEASE},
	{name: "F_GETPIPE_SZ", how: unix.F_GETPIPE_SZ},
	{name: "F_GET_SEALS", how: unix.F_GET_SEALS},
	{name: "F_GET_RW_HINT", how: unix.F_GET_RW_HINT, bytes: 8},
	{name: "F_GET_FILE_RW_HINT", how: unix.F_GET_FILE_RW_HINT, bytes: 8},
	{name: "F_CREATED_QUERY", how: unix.F_CREATED_QUERY},
	{name: "F_GETDELEG", how: 1024 + 15, bytes: 8},
	{name: "EPIOCGPARAMS", ioctl: true, how: unix.EPIOCGPARAMS, bytes: 8},
	{name: "PIDFD_GET_INFO", ioctl: true, how: unix.PIDFD_GET_INFO, bytes: unix.SizeofPidfdInfo},
	{name: "FIONREAD", ioctl: true, how: unix.TIOCINQ, bytes: 4},
	{name: "FIGETBSZ", ioctl: true, how: 2, bytes: 4},
}

// ask asks a descriptor of the test's own.
func ask(fd int, g getter) string {
	arg := make([]byte, g.bytes)
	if g.how == unix.PIDFD_GET_INFO {
		arg[0] = unix.PIDFD_INFO_PID | unix.PIDFD_INFO_CREDS | unix.PIDFD_INFO_CGROUPID | unix.PIDFD_INFO_EXIT
	}
	n, errno := request(fd, g.ioctl, g.how, arg)
	switch {
	case errno != 0:
		return errno.Error()
	case g.bytes > 0:
		return hex.EncodeToString(arg)
	}
	return fmt.Sprint(n)
}

// duplicate is a duplicate of a task's descriptor.
func duplicate(t *testing.T, pid, fd int) (int, error) {
	t.Helper()
	p, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(p)
	return unix.PidfdGetfd(p, fd, 0)
}

// events are those that poll(2) reports.
func events(fd int) string {
	p := []unix.PollFd{{Fd: int32(fd), Events: 0x7fff}}
	if _, err := unix.Poll(p, 0); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%#x", p[0].Revents)
}
