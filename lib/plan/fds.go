package plan

import (
	"encoding/binary"
	"fmt"
	"math"

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
		calls = append(calls, getfd(Guide, fd, "pidfd_getfd"))
	}
	return calls
}

// Drop plans the closing of all that Fetch has fetched.
func Drop() stub.Call {
	return stub.Call{What: "close_range", Nr: unix.SYS_CLOSE_RANGE, Args: []stub.Arg{stub.I(Guide + 1), stub.I(uint32(math.MaxUint32)), stub.I(0)}}
}

func getfd(guide int32, fd int, what string) stub.Call {
	return stub.Call{What: what, Nr: unix.SYS_PIDFD_GETFD, Args: []stub.Arg{stub.I(guide), stub.I(fd), stub.I(0)}}
}

// Descriptors plans a descriptor table, in a puppet that has nothing but the
// Guide: each slot becomes a duplicate of restore's descriptor, which open
// gives. slots are in order of number. The Guide is gone in the end.
//
// The kernel gives a fetched descriptor the lowest free number, which is known
// here: the table has only the slots before, and the Guide, out of the way.
func Descriptors(slots []*record.Fd, open func(openID uint64) (int, error)) ([]stub.Call, error) {
	guide := hole(slots)
	var calls []stub.Call
	if guide != Guide {
		calls = append(calls, dup(Guide, guide, 0, "the way to restore's descriptors"), closeFD(Guide))
	}
	placed := map[uint64]int32{} // by open_id
	free, taken := int32(0), 0   // the lowest free number; slots[:taken] lie below it
	for i, s := range slots {
		flags := 0
		if s.Cloexec {
			flags = unix.O_CLOEXEC
		}
		if at, ok := placed[s.OpenId]; ok {
			calls = append(calls, dup(at, s.Fd, flags, "fd"))
			continue
		}
		own, err := open(s.OpenId)
		if err != nil {
			return nil, fmt.Errorf("fd %d: %w", s.Fd, err)
		}
		for free == guide || taken < i && slots[taken].Fd == free {
			if free != guide {
				taken++
			}
			free++
		}
		calls = append(calls, getfd(guide, own, fmt.Sprintf("pidfd_getfd of fd %d", s.Fd)))
		switch {
		case free != s.Fd:
			calls = append(calls, dup(free, s.Fd, flags, "fd"), closeFD(free))
		case !s.Cloexec:
			calls = append(calls, stub.Call{What: fmt.Sprintf("F_SETFD of fd %d", s.Fd), Nr: unix.SYS_FCNTL,
				Args: []stub.Arg{stub.I(s.Fd), stub.I(unix.F_SETFD), stub.I(0)}})
		}
		placed[s.OpenId] = s.Fd
	}
	return append(calls, closeFD(guide)), nil
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

func dup(from, to int32, flags int, what string) stub.Call {
	return stub.Call{What: fmt.Sprintf("dup3 of %s %d", what, to), Nr: unix.SYS_DUP3, Args: []stub.Arg{stub.I(from), stub.I(to), stub.I(flags)}}
}

func closeFD(fd int32) stub.Call {
	return stub.Call{What: fmt.Sprintf("close of %d", fd), Nr: unix.SYS_CLOSE, Args: []stub.Arg{stub.I(fd)}}
}

// Watch is one file that an epoll watches, by descriptor numbers of a task.
type Watch struct {
	Epoll, FD int32
	Events    uint32
	Data      uint64
}

// Watches plans the filling of epolls, in a task that has the descriptors.
func Watches(list []Watch) []stub.Call {
	var calls []stub.Call
	for _, w := range list {
		ev := make([]byte, 12) // struct epoll_event, packed
		binary.LittleEndian.PutUint32(ev, w.Events)
		binary.LittleEndian.PutUint64(ev[4:], w.Data)
		calls = append(calls, stub.Call{
			What: fmt.Sprintf("epoll_ctl of fd %d in epoll %d", w.FD, w.Epoll), Nr: unix.SYS_EPOLL_CTL,
			Args: []stub.Arg{stub.I(w.Epoll), stub.I(unix.EPOLL_CTL_ADD), stub.I(w.FD), stub.D(ev)},
		})
	}
	return calls
}

// Lock is a record lock, fcntl(2), by descriptor number of a task.
type Lock struct {
	FD         int32
	Type       int16 // F_RDLCK, F_WRLCK
	Start, Len int64 // bytes; Len 0: to the end
}

// Locks plans the taking of record locks. They belong to the descriptor table
// that takes them.
func Locks(list []Lock) []stub.Call {
	var calls []stub.Call
	for _, l := range list {
		b := make([]byte, 32) // struct flock, whence SEEK_SET
		binary.LittleEndian.PutUint16(b, uint16(l.Type))
		binary.LittleEndian.PutUint64(b[8:], uint64(l.Start))
		binary.LittleEndian.PutUint64(b[16:], uint64(l.Len))
		calls = append(calls, stub.Call{What: fmt.Sprintf("lock of fd %d", l.FD), Nr: unix.SYS_FCNTL,
			Args: []stub.Arg{stub.I(l.FD), stub.I(unix.F_SETLK), stub.D(b)}})
	}
	return calls
}

// Directories plans a task's root, working directory and umask, in a puppet
// that has nothing but the Guide. cwd and root are restore's descriptors; root
// is -1 when it is the caller's.
func Directories(cwd, root int, umask uint32) []stub.Call {
	enter := func(fd int, what string) []stub.Call {
		const at = Guide + 1
		return []stub.Call{
			getfd(Guide, fd, "pidfd_getfd of its "+what),
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
