package freezer

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"floe/lib/procfs"
)

// Refuse tells why the tree of pid can't be frozen at all, before anything is
// touched.
func Refuse(pid int) error {
	if pid <= 0 {
		return fmt.Errorf("%d is no pid", pid)
	}
	s, err := procfs.ReadStat(pid)
	if err != nil {
		return fmt.Errorf("task %d: no such process", pid)
	}
	st, err := procfs.ReadStatus(pid)
	if err != nil {
		return fmt.Errorf("task %d: no such process", pid)
	}
	switch {
	case st.TGID != pid:
		return fmt.Errorf("task %d (%s) is a thread of process %d; name the process", pid, s.Comm, st.TGID)
	case pid == 1:
		return fmt.Errorf("task 1 (%s) is the init of this pid namespace and can't be frozen from inside it", s.Comm)
	case s.Flags&procfs.PFKthread != 0:
		return fmt.Errorf("task %d (%s) is a kernel thread", pid, s.Comm)
	case s.State == 'X' || s.State == 'Z' && s.Threads <= 1:
		return fmt.Errorf("task %d (%s) is dead: a zombie that its parent has not waited for", pid, s.Comm)
	}
	childless := isChildless(pid, s)
	if !childless || pid == os.Getpid() {
		if err := notAncestor(pid, s.Comm); err != nil {
			return err
		}
	}
	if err := sharesOutside(pid, s); err != nil {
		return err
	}
	if err := refuseProcess(pid, s, st); err != nil || childless {
		return err
	}
	return refuseDescendants(pid)
}

// isChildless tells a process that has no children for sure. (Of several
// children, the kernel may leave some out while others end; and of threads. One
// that has no file for them tells nothing for sure.)
func isChildless(pid int, s *procfs.Stat) bool {
	kids, err := procfs.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	return err == nil && len(kids) == 0 && s.Threads == 1
}

// notAncestor refuses freeze itself and the processes that it descends from.
func notAncestor(pid int, comm string) error {
	for own := os.Getpid(); own > 0; {
		if own == pid {
			if own == os.Getpid() {
				return fmt.Errorf("task %d is freeze itself", pid)
			}
			return fmt.Errorf("task %d (%s) is an ancestor of freeze, which would freeze itself; run freeze from elsewhere", pid, comm)
		}
		up, err := procfs.ReadStat(own)
		if err != nil {
			break
		}
		own = up.PPID
	}
	return nil
}

// sharesOutside refuses a root whose memory, descriptors, directories or
// signal handlers its parent has too: a vfork(2) child, mostly.
func sharesOutside(pid int, s *procfs.Stat) error {
	if s.PPID == 0 {
		return nil
	}
	for _, o := range []struct {
		kind int
		what string
	}{{kcmpVM, "memory"}, {kcmpFiles, "descriptors"}, {kcmpFS, "working directory"}, {kcmpSighand, "signal handlers"}} {
		if r, err := kcmp(pid, s.PPID, o.kind); err == nil && r == 0 {
			return fmt.Errorf("task %d (%s) shares its %s with its parent, task %d (vfork or clone); freeze that one", pid, s.Comm, o.what, s.PPID)
		}
	}
	return nil
}

// refuseDescendants looks at every other process of a tree that still runs.
func refuseDescendants(root int) error {
	for list := []int{root}; len(list) > 0; list = list[1:] {
		pid := list[0]
		if pid != root {
			if err := refuseDescendant(pid); err != nil {
				return err
			}
		}
		tids, err := procfs.Threads(pid)
		if err != nil {
			continue // it has ended
		}
		for _, tid := range tids {
			kids, _ := procfs.Children(pid, tid)
			list = append(list, kids...)
		}
	}
	return nil
}

// refuseDescendant tells why a process of the tree can't be frozen. One that has
// ended is none of its business.
func refuseDescendant(pid int) error {
	s, err := procfs.ReadStat(pid)
	if err != nil || s.State == 'X' || s.State == 'Z' && s.Threads <= 1 {
		return nil
	}
	st, err := procfs.ReadStatus(pid)
	if err != nil {
		return nil
	}
	return refuseProcess(pid, s, st)
}

// refuseProcess tells why one process can't be frozen.
func refuseProcess(pid int, s *procfs.Stat, st *procfs.Status) error {
	why := ""
	switch {
	case s.State == 'Z':
		why = "its first thread has ended while others run; such a process can't be saved yet"
	case s.ExitSignal == int(unix.SIGKILL) || s.ExitSignal == int(unix.SIGSTOP):
		why = fmt.Sprintf("its end is told with signal %d (clone), which may go to its tracer and can't be ignored; it can't be frozen", s.ExitSignal)
	case st.Tracer != 0:
		return fmt.Errorf("task %d (%s) is already traced by task %d; end that first (strace, gdb, another freeze)", pid, s.Comm, st.Tracer)
	}
	if why == "" {
		why = refuseStatus(st)
	}
	if why == "" && is32bit(pid) {
		why = "a 32-bit program can't be saved yet"
	}
	if why == "" {
		err := sameNamespaces(pid)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		} else if err != nil {
			why = err.Error()
		}
	}
	if why != "" {
		return fmt.Errorf("task %d (%s): %s", pid, s.Comm, why)
	}
	return nil
}

// refuseStatus tells why a task can't be saved, by its status file. No system
// call may be run in such a task.
func refuseStatus(st *procfs.Status) string {
	const strict = 1
	switch {
	case st.Seccomp == strict:
		return "it is in seccomp strict mode, which can't be saved yet"
	case st.Seccomp != 0:
		return "it has a seccomp filter, which can't be saved yet"
	case strings.Contains(st.Features, "shstk"):
		return "it has a shadow stack, which can't be saved yet"
	}
	return ""
}

// is32bit tells whether a process's program is a 32-bit one (ia32 or x32).
func is32bit(pid int) bool {
	f, err := procfs.Open(fmt.Sprintf("/proc/%d/exe", pid), unix.O_RDONLY)
	if err != nil {
		return false
	}
	defer f.Close()
	const class, class32 = 4, 1
	var b [class + 1]byte
	_, err = io.ReadFull(f, b[:])
	return err == nil && string(b[:4]) == "\x7fELF" && b[class] == class32
}

// namespaces that the tree has to share with freeze: others can't be saved
// yet.
var namespaces = []string{"pid", "pid_for_children", "mnt", "net", "ipc", "uts", "user", "cgroup"}

// ownNamespaces has the inodes of freeze's; a kernel may lack some.
var ownNamespaces = sync.OnceValue(func() map[string]uint64 {
	own := map[string]uint64{}
	for _, ns := range namespaces {
		var st unix.Stat_t
		if unix.Stat("/proc/self/ns/"+ns, &st) == nil {
			own[ns] = st.Ino
		}
	}
	return own
})

// sameNamespaces refuses a task (a thread too) in a namespace that isn't
// freeze's.
func sameNamespaces(tid int) error {
	dir := fmt.Sprintf("/proc/%d/ns/", tid)
	for _, ns := range namespaces {
		own, ok := ownNamespaces()[ns]
		if !ok {
			continue
		}
		var st unix.Stat_t
		if err := unix.Stat(dir+ns, &st); err != nil {
			return fmt.Errorf("%s%s: %w", dir, ns, err)
		}
		if st.Ino != own {
			return fmt.Errorf("it is in another %s namespace than freeze; such a task can't be saved yet (run freeze inside, with nsenter)", ns)
		}
	}
	return sameTime(dir)
}

// sameTime refuses a task whose children would have other clocks than itself.
func sameTime(dir string) error {
	own, children := timeNamespace(dir+"time"), timeNamespace(dir+"time_for_children")
	if (own == 0) != (children == 0) { // it has ended between the two
		return fmt.Errorf("%stime: %w", dir, os.ErrNotExist)
	}
	if own != children {
		return fmt.Errorf("its children get another time namespace than its own; such a task can't be saved yet")
	}
	return nil
}

// timeNamespace is the inode of a time namespace; 0 on a kernel without them.
func timeNamespace(path string) uint64 {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return 0
	}
	return st.Ino
}
