package lease

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Outcome is how a lease ended.
type Outcome struct {
	Complete bool   // a whole image was written
	OnDisk   bool   // and is on disk
	Failure  string // why not; empty when the last stage was content
}

// Server is freeze's end of a lease.
type Server struct {
	r, w   int
	stages map[int]*member // by pid
	wake   int             // eventfd
}

type member struct {
	name  string
	pidfd int
	done  bool
}

// NewServer makes the pipe.
func NewServer() (*Server, error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, fmt.Errorf("lease pipe: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("lease eventfd: %w", err)
	}
	return &Server{r: p[0], w: p[1], stages: map[int]*member{}, wake: wake}, nil
}

// FD is the number that the header names.
func (s *Server) FD() int { return s.w }

// Close ends the lease for the stages too.
func (s *Server) Close() {
	for _, m := range s.stages {
		unix.Close(m.pidfd)
	}
	unix.Close(s.r)
	unix.Close(s.w)
	unix.Close(s.wake)
}

// WaitOptions say what ends a lease besides the stages.
type WaitOptions struct {
	// Out is freeze's standard output: nobody reading it any more ends the
	// lease. -1: don't look.
	Out int
	// Idle ends the lease when no stage has worked for so long.
	Idle time.Duration
	// Command: a command runs the stages, and its end (ctx) decides. A verdict
	// of the last stage does not end the lease then, a failure does.
	Command bool
}

// Wait returns when the tree may be let go. A cancelled ctx ends it with ctx's
// cause as the failure.
func (s *Server) Wait(ctx context.Context, opt WaitOptions) Outcome {
	stop := context.AfterFunc(ctx, func() { _, _ = unix.Write(s.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) })
	defer stop()
	var out Outcome
	idleSince := time.Now()
	for {
		changed, end := s.drain(&out)
		if end && (!opt.Command || out.Failure != "") {
			return out
		}
		if changed || s.working() {
			idleSince = time.Now()
		}
		if ctx.Err() != nil {
			if !opt.Command || !errors.Is(context.Cause(ctx), ErrCommandEnded) {
				out.Failure = context.Cause(ctx).Error()
			}
			return out
		}
		if !out.Complete && time.Since(idleSince) > opt.Idle {
			out.Failure = fmt.Sprintf("no stage has worked for %s", opt.Idle)
			return out
		}
		if why := s.poll(opt); why != "" {
			if _, end := s.drain(&out); !end {
				out.Failure = why
			}
			return out
		}
	}
}

// ErrCommandEnded is the cause of the end of Wait's ctx when the command that
// runs the stages has ended.
var ErrCommandEnded = errors.New("the command has ended")

func (s *Server) working() bool {
	for _, m := range s.stages {
		if !m.done {
			return true
		}
	}
	return false
}

// poll waits for something to happen; it says why when that ends the lease.
func (s *Server) poll(opt WaitOptions) string {
	fds := []unix.PollFd{{Fd: int32(s.r), Events: unix.POLLIN}, {Fd: int32(s.wake), Events: unix.POLLIN}, {Fd: int32(opt.Out)}}
	var list []int
	for pid, m := range s.stages {
		fds = append(fds, unix.PollFd{Fd: int32(m.pidfd), Events: unix.POLLIN})
		list = append(list, pid)
	}
	const tick = 500 // ms: for the idle time
	if n, err := unix.Poll(fds, tick); err != nil || n == 0 {
		return ""
	}
	if fds[0].Revents&unix.POLLIN != 0 {
		return "" // verdicts first
	}
	for i, pid := range list {
		if fds[3+i].Revents == 0 {
			continue
		}
		m := s.stages[pid]
		unix.Close(m.pidfd)
		delete(s.stages, pid)
		if !m.done {
			// Its verdict may have come between the poll and its end.
			var out Outcome
			if _, end := s.drain(&out); end {
				return out.Failure
			}
			return fmt.Sprintf("%s (task %d) died", m.name, pid)
		}
	}
	if fds[2].Revents&(unix.POLLERR|unix.POLLHUP) != 0 {
		return "nobody reads the stream any more"
	}
	return ""
}

// drain takes all messages from the pipe. end says that the last stage, or one
// that failed, has spoken.
func (s *Server) drain(out *Outcome) (changed, end bool) {
	b := make([]byte, messageSize)
	for {
		n, err := unix.Read(s.r, b)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n <= 0 {
			return changed, end
		}
		m, ok := unmarshal(b[:n])
		if !ok || !s.known(m) {
			continue
		}
		changed = true
		switch m.Kind {
		case Done:
			s.stages[m.PID].done = true
		case Final:
			s.stages[m.PID].done, end = true, true
		case Complete, CompleteOnDisk:
			s.stages[m.PID].done, end = true, true
			out.Complete, out.OnDisk = true, m.Kind == CompleteOnDisk
		case Failed:
			s.stages[m.PID].done, end = true, true
			out.Failure = fmt.Sprintf("%s failed: %s", m.Stage, m.Text)
		}
	}
}

// known tells whether the sender is a stage; a hello makes it one. A pid that
// has another start time by now is another process.
func (s *Server) known(m Message) bool {
	if _, ok := s.stages[m.PID]; ok {
		return m.Kind != Hello
	}
	if m.Kind != Hello || m.PID <= 0 {
		return false
	}
	fd, err := unix.PidfdOpen(m.PID, 0)
	if err != nil {
		// Dead already: noticed like any stage that dies, by a closed pipe.
		return false
	}
	if start, err := StartTime(m.PID); err != nil || start != m.StartTime {
		unix.Close(fd)
		return false
	}
	s.stages[m.PID] = &member{name: m.Stage, pidfd: fd}
	return true
}
