package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// ending are the signals that end a restore. One that restore was started with
// as ignored, as by nohup(1), stays ignored.
var ending = []os.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM}

// patience is how long a restore that a signal has ended may take to undo what it
// has done. A tree in the making ends with restore in any case; but then its
// zombies are left for others to wait for.
const patience = 3 * time.Second

// signals is what signals do to restore: up to the point of no return they end
// it, afterwards they are the tree's, or nobody's with -d.
type signals struct {
	caught chan os.Signal
	rest   chan os.Signal // those that came after the point
	cancel context.CancelCauseFunc
	leave  chan struct{} // closed: what still works is not waited for

	mu    sync.Mutex
	dirty bool  // there may be something to undo
	past  bool  // the point of no return is passed
	cause error // which signal has ended it
	gone  sync.Once
}

// catchSignals comes first of all. The context that it returns ends with the
// first signal before the point of no return.
func catchSignals(ctx context.Context) (context.Context, *signals) {
	s := &signals{caught: make(chan os.Signal, 64), rest: make(chan os.Signal, 64), leave: make(chan struct{})}
	ctx, s.cancel = context.WithCancelCause(ctx)
	s.catch(ending...)
	go func() {
		for sig := range s.caught {
			s.take(sig)
		}
	}()
	return ctx, s
}

func (s *signals) catch(list ...os.Signal) {
	for _, sig := range list {
		if !signal.Ignored(sig) {
			signal.Notify(s.caught, sig)
		}
	}
}

// take acts on a signal.
func (s *signals) take(sig os.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.past || !slices.Contains(ending, sig):
		select {
		case s.rest <- sig:
		default: // far too many
		}
	case s.cause != nil:
		s.abandon() // the second one
	default:
		s.cause = fmt.Errorf("interrupted by signal: %s", sig)
		s.cancel(s.cause)
		if s.dirty {
			time.AfterFunc(patience, s.abandon)
		} else {
			s.abandon()
		}
	}
}

func (s *signals) abandon() { s.gone.Do(func() { close(s.leave) }) }

// begin says that from here on an end has something to undo, unless a signal came
// before: then restore is about to exit, and nothing may be begun.
func (s *signals) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dirty = true
	return s.cause
}

// commit passes the point of no return, unless a signal came before.
func (s *signals) commit(point func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause == nil {
		point()
		s.past = true
	}
	return s.cause
}

// during does the work. When a signal ends it, it does not wait for longer than
// is of use: some calls nobody can interrupt, as the opening of an image that is a
// pipe without a writer.
func (s *signals) during(work func() error) error {
	done := make(chan error, 1)
	go func() { done <- work() }()
	var err error
	select {
	case err = <-done:
	case <-s.leave:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause != nil {
		return s.cause
	}
	return err
}
