package plan

import (
	"iter"
	"math"
	"strconv"

	"golang.org/x/sys/unix"

	"floe/lib/record"
	"floe/lib/stub"
)

// Guide is the only descriptor that a puppet is born with: a pidfd of restore,
// by which it fetches duplicates of restore's descriptors (pidfd_getfd(2)).
const Guide = 0

// Fetch plans how a puppet that has nothing but the Guide gets duplicates of
// restore's descriptors: list[i] becomes its number Guide+1+i.
func Fetch(list []int) []stub.Call {
	var calls []stub.Call
	for _, fd := range list {
		calls = append(calls, getfd(fd, "pidfd_getfd"))
	}
	return calls
}

// Drop plans the closing of all that Fetch has fetched.
func Drop() stub.Call {
	return stub.Call{What: "close_range", Nr: unix.SYS_CLOSE_RANGE, Args: []stub.Arg{stub.I(Guide + 1), stub.I(uint32(math.MaxUint32)), stub.I(0)}}
}

func getfd(fd int, what string) stub.Call {
	return stub.Call{What: what, Nr: unix.SYS_PIDFD_GETFD, Args: []stub.Arg{stub.I(Guide), stub.I(fd), stub.I(0)}}
}

// Descriptors plans a descriptor table, in a puppet that has nothing but the
// Guide: each slot becomes a duplicate of restore's descriptor, which open
// gives. slots are in order of number. The Guide is gone in the end.
//
// The kernel gives a fetched descriptor the lowest free number, which is known
// here: the table has only the slots before, and the Guide, out of the way.
func Descriptors(slots []*record.Fd, open func(openID uint64) int) iter.Seq[stub.Call] {
	return func(yield func(stub.Call) bool) {
		guide := hole(slots)
		if guide != Guide && !each(yield, dup(Guide, guide, 0), closeFD(Guide)) {
			return
		}
		placed := map[uint64]int32{} // by open_id
		free, taken := int32(0), 0   // the lowest free number; slots[:taken] lie below it
		for i, s := range slots {
			flags := 0
			if s.Cloexec {
				flags = unix.O_CLOEXEC
			}
			if at, ok := placed[s.OpenId]; ok {
				if !yield(dup(at, s.Fd, flags)) {
					return
				}
				continue
			}
			for free == guide || taken < i && slots[taken].Fd == free {
				if free != guide {
					taken++
				}
				free++
			}
			placed[s.OpenId] = s.Fd
			if !yield(stub.Call{What: "pidfd_getfd of fd", Of: number(s.Fd), Nr: unix.SYS_PIDFD_GETFD,
				Args: []stub.Arg{stub.I(guide), stub.I(open(s.OpenId)), stub.I(0)}}) {
				return
			}
			switch {
			case free != s.Fd && !each(yield, dup(free, s.Fd, flags), closeFD(free)):
				return
			case free == s.Fd && !s.Cloexec && !yield(keepOnExec(s.Fd)):
				return
			}
		}
		yield(closeFD(guide))
	}
}

func each(yield func(stub.Call) bool, calls ...stub.Call) bool {
	for _, c := range calls {
		if !yield(c) {
			return false
		}
	}
	return true
}

// hole is the lowest number that none of slots has; they are in order.
func hole(slots []*record.Fd) int32 {
	n := int32(0)
	for _, s := range slots {
		if s.Fd != n {
			break
		}
		n++
	}
	return n
}

// number is a descriptor in the words of an error.
type number int32

func (n number) String() string { return strconv.Itoa(int(n)) }

func dup(from, to int32, flags int) stub.Call {
	return stub.Call{What: "dup3 to fd", Of: number(to), Nr: unix.SYS_DUP3, Args: []stub.Arg{stub.I(from), stub.I(to), stub.I(flags)}}
}

func closeFD(fd int32) stub.Call {
	return stub.Call{What: "close of fd", Of: number(fd), Nr: unix.SYS_CLOSE, Args: []stub.Arg{stub.I(fd)}}
}

func keepOnExec(fd int32) stub.Call {
	return stub.Call{What: "F_SETFD of fd", Of: number(fd), Nr: unix.SYS_FCNTL, Args: []stub.Arg{stub.I(fd), stub.I(unix.F_SETFD), stub.I(0)}}
}

// Directories plans a task's root, working directory and umask, in a puppet
// that has nothing but the Guide. cwd and root are restore's descriptors; root
// is -1 when it is the caller's.
func Directories(cwd, root int, umask uint32) []stub.Call {
	enter := func(fd int, what string) []stub.Call {
		const at = Guide + 1
		return []stub.Call{
			getfd(fd, "pidfd_getfd of its "+what),
			{What: "fchdir to its " + what, Nr: unix.SYS_FCHDIR, Args: []stub.Arg{stub.I(at)}},
			closeFD(at),
		}
	}
	var calls []stub.Call
	if root >= 0 {
		calls = append(enter(root, "root"), stub.Call{What: "chroot", Nr: unix.SYS_CHROOT, Args: []stub.Arg{stub.S(".")}})
	}
	return append(append(calls, enter(cwd, "working directory")...),
		stub.Call{What: "umask", Nr: unix.SYS_UMASK, Args: []stub.Arg{stub.I(umask)}})
}
