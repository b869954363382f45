package attr

import (
	"fmt"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"floe/lib/procfs"
	"floe/lib/record"
	"floe/lib/stub"
)

// landlock is a sandbox that a thread has put itself into, landlock(7): a domain.
// Nothing shows it, and it can't be made again, but for one thing that every
// domain forbids: to look into a process outside of it. So a thread is asked to
// compare itself, by kcmp(2), with one that it could look into otherwise: freeze
// where it has CAP_SYS_PTRACE, or else a process of the same user that has no
// capabilities, and does nothing. A root without that capability can't be asked.
var landlock = Attr{
	Name: "landlock",
	Thread: Part[record.Thread]{
		Ask:   lookOutside,
		Alike: lookOutside,
		Answer: func(a *Answers, t *record.Thread) error {
			_, ok, err := a.Value(0, unix.EPERM, unix.EACCES)
			if err == nil && !ok {
				err = fmt.Errorf("thread %d has restricted itself (landlock_restrict_self), which can't be restored", t.Tid)
			}
			return err
		},
	},
	Fixed: func(h *Here) string {
		if !hasLandlock() || !h.May(unix.CAP_SYS_PTRACE) {
			return ""
		}
		// The first process is left out: it may be kept from all others. A domain
		// that all ancestors are in can't be told from none.
		const init = 1
		for pid := os.Getppid(); pid > init; {
			if _, _, e := unix.Syscall6(unix.SYS_KCMP, uintptr(os.Getpid()), uintptr(pid), kcmpVM, 0, 0, 0); e == unix.EPERM {
				return "in a Landlock domain"
			}
			up, err := procfs.ReadStat(pid)
			if err != nil {
				break
			}
			pid = up.PPID
		}
		return ""
	},
}

// lookOutside is the question.
func lookOutside(l *Live, t *record.Thread) []stub.Call {
	if !hasLandlock() || l.PID == os.Getpid() {
		return nil
	}
	target := os.Getpid()
	switch c := t.Creds; {
	case c.CapEffective>>unix.CAP_SYS_PTRACE&1 != 0:
	case c.Ruid == 0:
		return nil
	default:
		target = l.Dump.dummy(c.Ruid, c.Rgid)
	}
	if target <= 0 {
		return nil
	}
	return []stub.Call{call("kcmp", unix.SYS_KCMP, uint64(l.PID), uint64(target), kcmpVM, 0, 0)}
}

// kcmpVM is KCMP_VM of <linux/kcmp.h>.
const kcmpVM = 1

// hasLandlock tells whether this kernel has it, and has it on.
var hasLandlock = sync.OnceValue(func() bool {
	const version = 1 // LANDLOCK_CREATE_RULESET_VERSION
	_, _, e := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, version)
	return e == 0
})

// dummy is a process of a user and a group that waits for its end; 0: there is
// none.
func (d *Dump) dummy(uid, gid uint32) int {
	key := [2]uint32{uid, gid}
	if pid, ok := d.dummies[key]; ok {
		return pid
	}
	if d.dummies == nil {
		d.dummies = map[[2]uint32]int{}
	}
	d.dummies[key] = 0
	fd, err := unix.MemfdCreate("floe-dummy", unix.MFD_CLOEXEC)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	prog, _ := stub.SpawnELF()
	if _, err := unix.Write(fd, prog); err != nil {
		return 0
	}
	attr := &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if uid != uint32(os.Getuid()) || gid != uint32(os.Getgid()) {
		attr.Credential = &syscall.Credential{Uid: uid, Gid: gid}
	}
	// The child has this process's memory until it executes its program, and its
	// change of user makes that undumpable.
	dumpable, _ := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	defer func() { _ = unix.Prctl(unix.PR_SET_DUMPABLE, uintptr(dumpable), 0, 0, 0) }()
	pid, err := syscall.ForkExec(fmt.Sprintf("/proc/self/fd/%d", fd), []string{"floe-dummy"}, &syscall.ProcAttr{Sys: attr})
	if err != nil {
		return 0
	}
	d.dummies[key] = pid
	return pid
}

// Close ends what a dump has made.
func (d *Dump) Close() {
	for _, pid := range d.dummies {
		// One that can't be killed ends with this process, and is not waited for.
		if pid > 0 && unix.Kill(pid, unix.SIGKILL) == nil {
			_, _ = unix.Wait4(pid, nil, 0, nil)
		}
	}
}
