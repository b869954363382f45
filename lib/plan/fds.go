package plan

import (
	"encoding/binary"
	"fmt"
	"math"

	"golang.org/x/sys/unix"

	"floe/lib/record"
	"floe/lib/stub"
)

// Descriptors plans a descriptor table: what the puppet inherited below floor
// goes, and each slot becomes a duplicate of restore's descriptor.
func Descriptors(slots []*record.Fd, floor int, fds FDs) ([]stub.Call, error) {
	calls := []stub.Call{closeRange(0, uint64(floor-1))}
	for _, s := range slots {
		from, err := fds.Open(s.OpenId)
		if err != nil {
			return nil, fmt.Errorf("fd %d: %w", s.Fd, err)
		}
		flags := 0
		if s.Cloexec {
			flags = unix.O_CLOEXEC
		}
		calls = append(calls, stub.Call{
			What: fmt.Sprintf("dup3 of fd %d", s.Fd), Nr: unix.SYS_DUP3,
			Args: []stub.Arg{stub.I(from), stub.I(s.Fd), stub.I(flags)},
		})
	}
	return calls, nil
}

// CloseInherited closes restore's descriptors from floor up: the last thing
// that a puppet does with them.
func CloseInherited(floor int) []stub.Call {
	return []stub.Call{closeRange(uint64(floor), math.MaxUint32)}
}

func closeRange(first, last uint64) stub.Call {
	return stub.Call{What: "close_range", Nr: unix.SYS_CLOSE_RANGE, Args: []stub.Arg{stub.I(first), stub.I(last), stub.I(0)}}
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

// Directories plans a task's root, working directory and umask. root is -1
// when it is the caller's.
func Directories(cwd, root int, umask uint32) []stub.Call {
	var calls []stub.Call
	if root >= 0 {
		calls = append(calls,
			stub.Call{What: "fchdir to its root", Nr: unix.SYS_FCHDIR, Args: []stub.Arg{stub.I(root)}},
			stub.Call{What: "chroot", Nr: unix.SYS_CHROOT, Args: []stub.Arg{stub.S(".")}})
	}
	return append(calls,
		stub.Call{What: "fchdir", Nr: unix.SYS_FCHDIR, Args: []stub.Arg{stub.I(cwd)}},
		stub.Call{What: "umask", Nr: unix.SYS_UMASK, Args: []stub.Arg{stub.I(umask)}})
}
