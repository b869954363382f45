package lease

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// maxMembers bounds how many stages one lease has.
const maxMembers = 256

// Server is freeze's end of a lease. Its methods are for one goroutine.
type Server struct {
	r, w    int
	wake    int // eventfd: Wait's ctx is done
	members map[origins]*member

	failure          string // of a stage, the first one
	cut              string // what a stage says that had its input cut, the first one
	final            bool   // the last stage has spoken
	complete, onDisk bool   // what it said

	hellos int     // how many there were
	ledger []Entry // what the stages have written, as they said
}

// origins tells stages apart: one process may be several. A process can give
// itself any stage's name, but not another's pid.
type origins struct {
	pid   int
	stage string
}

// member is a stage that said hello.
type member struct {
	name  string
	pid   int
	seq   int // how many stages had said hello before it
	pidfd int // -1: it had gone already when its hello was read
	start uint64
	state Kind // what it has told last: Hello, or what Report tells
	done  bool // it has given its verdict, or gone
}

// NewServer makes the sockets.
func NewServer() (*Server, error) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("lease socket: %w", err)
	}
	s := &Server{r: p[0], w: p[1], wake: -1, members: map[origins]*member{}}
	if err := unix.SetsockoptInt(s.r, unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
		s.Close()
		return nil, fmt.Errorf("lease socket: SO_PASSCRED: %w", err)
	}
	if s.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		s.Close()
		return nil, fmt.Errorf("lease eventfd: %w", err)
	}
	return s, nil
}

// FD is the number that the header names.
func (s *Server) FD() int { return s.w }

// Close ends the lease for the stages too.
func (s *Server) Close() {
	for _, m := range s.members {
		m.close()
	}
	for _, fd := range []*int{&s.r, &s.w, &s.wake} {
		if *fd >= 0 {
			unix.Close(*fd)
			*fd = -1
		}
	}
}

func (m *member) close() {
	if m.pidfd >= 0 {
		unix.Close(m.pidfd)
		m.pidfd = -1
	}
}

// working tells whether a stage is still at work.
func (s *Server) working() bool {
	for _, m := range s.members {
		if !m.done {
			return true
		}
	}
	return false
}

// drain takes all messages from the socket; news tells whether a stage has said
// that something moved.
func (s *Server) drain() (news bool) {
	var b [textAt + maxText + 1]byte
	oob := make([]byte, unix.CmsgSpace(unix.SizeofUcred)+unix.CmsgSpace(4))
	for {
		n, noob, _, _, err := unix.Recvmsg(s.r, b[:], oob, unix.MSG_CMSG_CLOEXEC)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n <= 0 {
			return news
		}
		m, ok := unmarshal(b[:n])
		from := sender(oob[:noob])
		if ok && from.pid > 0 && s.take(from, m) {
			news = true
		}
		from.close()
	}
}

// origin is the sender of a message, as the kernel says it, and the descriptors
// that came with it. Pid 0: the kernel does not say, or the sender is outside of
// this pid namespace.
type origin struct {
	pid int
	fds []int
}

func sender(oob []byte) (o origin) {
	list, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return o
	}
	for _, c := range list {
		if cred, err := unix.ParseUnixCredentials(&c); err == nil {
			o.pid = int(cred.Pid)
		} else if fds, err := unix.ParseUnixRights(&c); err == nil {
			o.fds = append(o.fds, fds...)
		}
	}
	return o
}

func (o origin) close() {
	for _, fd := range o.fds {
		unix.Close(fd)
	}
}

// take acts on a message. Only a hello makes a member.
func (s *Server) take(o origin, m Message) bool {
	pid := o.pid
	key := origins{pid, m.Stage}
	from := s.members[key]
	if m.Kind == Hello {
		if (from != nil && from.start == m.StartTime) || len(s.members) >= maxMembers {
			return false
		}
		if from != nil {
			from.close() // gone, and its pid is another's now
		}
		s.members[key] = newMember(pid, m)
		s.members[key].seq = s.hellos
		s.hellos++
		return true
	}
	if from == nil || from.start != m.StartTime {
		return false
	}
	switch m.Kind {
	case Ask:
		s.answer(o.fds)
		return true
	case Moved, Busy, WantsInput, WantsReader:
		from.state = m.Kind
		return m.Kind == Moved
	}
	from.done = true
	switch m.Kind {
	case Done:
		s.Wrote(m.Stage, m.Wrote)
	case Final:
		s.final = true
	case Complete, CompleteOnDisk:
		s.final, s.complete, s.onDisk = true, true, m.Kind == CompleteOnDisk
	case Failed:
		s.fail(fmt.Sprintf("%s failed: %s", m.Stage, m.Text))
	case Cut:
		if s.cut == "" {
			s.cut = fmt.Sprintf("%s failed: %s", m.Stage, m.Text)
		}
	}
	return true
}

// fail keeps the first reason.
func (s *Server) fail(why string) {
	if s.failure == "" {
		s.failure = why
	}
}

func newMember(pid int, m Message) *member {
	mem := &member{name: m.Stage, pid: pid, pidfd: -1, start: m.StartTime, state: Hello}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return mem
	}
	if start, err := StartTime(pid); err != nil || start != m.StartTime {
		unix.Close(fd)
		return mem
	}
	mem.pidfd = fd
	return mem
}
