package freezer

import (
	"golang.org/x/sys/unix"

	"floe/lib/procfs"
)

// kthreads tells kernel threads from other tasks. They are half of all tasks of
// many machines, and share nothing with a process: none needs to be looked at.
type kthreads struct{ parent int }

// kthreadd is the parent of all kernel threads, unless this is a pid namespace
// that has none.
const kthreadd = 2

func kernelThreads() kthreads {
	if s, err := procfs.ReadStat(kthreadd); err == nil && s.Flags&procfs.PFKthread != 0 {
		return kthreads{kthreadd}
	}
	return kthreads{}
}

// has tells whether a task is a kernel thread. They have the descriptor table of
// their parent, which no program has: exec gives it one of its own. That they are
// in no session is quicker to find out.
func (k kthreads) has(pid int) bool {
	if k.parent == 0 || pid == k.parent {
		return k.parent != 0
	}
	if sid, err := unix.Getsid(pid); err != nil || sid != 0 {
		return false
	}
	r, err := kcmp(pid, k.parent, kcmpFiles)
	return err == nil && r == same
}
