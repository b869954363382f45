package lease

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// Outcome is how a lease ended.
type Outcome struct {
	Complete bool   // a whole image was written
	OnDisk   bool   // and is on disk
	Failure  string // why not; empty when the last stage was content
}

// WaitOptions say what ends a lease besides the stages.
type WaitOptions struct {
	// Out is freeze's standard output, a pipe or a socket: nobody reading it
	// any more ends the lease. -1: don't look.
	Out int
	// Idle ends the lease when nothing has moved for so long; 0: never.
	Idle time.Duration
	// Command: a command runs the stages, and its end (ctx) decides. A verdict
	// of the last stage does not end the lease then, a failure does. Once the
	// image is complete, no time does either: whoever has it may be letting it go.
	Command bool
	// Release: the verdict ends the lease all the same.
	Release bool
}

// ErrCommandEnded is the cause of the end of Wait's ctx when the command that
// runs the stages has ended.
var ErrCommandEnded = errors.New("the command has ended")

// grace is how long the reason may take to come when nobody reads the stream
// any more, or a stage's input was cut, while another stage is at work: a process
// that is killed closes its files before its pidfd tells of its end.
const grace = 300 * time.Millisecond

// watch is what Wait knows besides what the stages have said.
type watch struct {
	WaitOptions
	idleSince   time.Time
	interrupted bool
	goneSince   time.Time // when the reader was seen to be gone
	cutSince    time.Time // when a stage said that its input was cut
}

// Wait returns when the tree may be let go. A cancelled ctx ends it with ctx's
// cause as the failure, unless the stages have said how it went.
func (s *Server) Wait(ctx context.Context, opt WaitOptions) Outcome {
	defer s.wakeOn(ctx)()
	w := watch{WaitOptions: opt, idleSince: time.Now()}
	for {
		// What is seen here came after every message of those it is seen of, so
		// that the messages are read afterwards and count first.
		w.interrupted = ctx.Err() != nil
		if s.poll(w.Out, s.patience(&w)) {
			w.goneSince, w.Out = time.Now(), -1
		}
		if s.drain() {
			w.idleSince = time.Now()
		}
		s.bury()
		if s.cut != "" && w.cutSince.IsZero() {
			w.cutSince = time.Now()
		}
		if o, over := s.judge(ctx, &w); over {
			return o
		}
	}
}

// judge decides whether the lease is over.
func (s *Server) judge(ctx context.Context, w *watch) (Outcome, bool) {
	well := Outcome{Complete: s.complete, OnDisk: s.onDisk}
	gone := !w.goneSince.IsZero()
	switch {
	case s.failure != "":
		return Outcome{Failure: s.failure}, true
	case s.cut != "" && (!s.working() || time.Since(w.cutSince) >= grace):
		return Outcome{Failure: s.cut}, true
	case s.final && !s.working() && (!w.Command || w.Release):
		return well, true
	case w.interrupted && w.Command && errors.Is(context.Cause(ctx), ErrCommandEnded):
		return well, true
	case w.interrupted:
		return Outcome{Failure: context.Cause(ctx).Error()}, true
	case gone && !s.working():
		return well, true
	case gone && time.Since(w.goneSince) >= grace:
		return Outcome{Failure: "nobody reads the stream any more"}, true
	case w.Idle > 0 && !s.out() && time.Since(w.idleSince) >= w.Idle:
		return Outcome{Failure: s.idle(w.Idle)}, true
	}
	return Outcome{}, false
}

// out tells whether there is a whole image, and no stage is at work any more.
func (s *Server) out() bool { return s.complete && !s.working() }

// wakeOn makes ctx's end interrupt poll, until the function that it returns is
// called.
func (s *Server) wakeOn(ctx context.Context) (undo func()) {
	var b [8]byte
	_, _ = unix.Read(s.wake, b[:])
	fired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_, _ = unix.Write(s.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
		close(fired)
	})
	return func() {
		if !stop() {
			<-fired
		}
	}
}

// patience is how long poll may wait, milliseconds; -1: for ever.
func (s *Server) patience(w *watch) int {
	var until time.Time
	switch {
	case w.interrupted:
		return 0
	case !w.cutSince.IsZero():
		until = w.cutSince.Add(grace)
	case !w.goneSince.IsZero():
		until = w.goneSince.Add(grace)
	case w.Idle <= 0 || s.out():
		return -1
	default:
		until = w.idleSince.Add(w.Idle)
	}
	return int(max(0, time.Until(until).Milliseconds()+1))
}

// poll waits for something to happen. A member that has died loses its pidfd.
func (s *Server) poll(out, timeout int) (readerGone bool) {
	fds := []unix.PollFd{{Fd: int32(s.r), Events: unix.POLLIN}, {Fd: int32(s.wake), Events: unix.POLLIN}, {Fd: int32(out)}}
	var of []*member
	for _, m := range s.members {
		if m.pidfd >= 0 {
			fds = append(fds, unix.PollFd{Fd: int32(m.pidfd), Events: unix.POLLIN})
			of = append(of, m)
		}
	}
	if n, err := unix.Poll(fds, timeout); err != nil || n == 0 {
		return false
	}
	for i, m := range of {
		if fds[3+i].Revents != 0 {
			m.close()
		}
	}
	return fds[2].Revents&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0
}

// bury marks members that are dead as done; one that gave no verdict has
// failed. It comes after drain, which reads a verdict given before the end.
func (s *Server) bury() {
	for _, m := range s.members {
		if m.pidfd < 0 && !m.done {
			m.done = true
			s.fail(m.String() + " died")
		}
	}
}
