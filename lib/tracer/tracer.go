// Package tracer makes ptrace(2) calls from the one thread that may make them.
//
// A tracee belongs to the thread that attached it, and every request about it
// must come from that thread. A Tracer owns a goroutine locked to an OS
// thread; Do hands it a function, which gets a *Ptrace: the methods that need
// the thread hang on that type, so they can't be called from anywhere else.
//
// Do costs two goroutine switches (some 10 µs with a locked thread), so a loop
// over tasks belongs inside one Do, not around it.
package tracer

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"

	"floe/lib/calm"
)

// TID is a thread id in the tracer's pid namespace.
type TID int

// Addr is an address in another process.
type Addr uint64

// ErrTaskGone says that a task died or was never there: an expected result of
// any request about a task, since SIGKILL needs nobody's leave.
var ErrTaskGone = errors.New("task is gone")

// ErrClosed is what Do returns after Close.
var ErrClosed = errors.New("tracer is closed")

// Tracer is a locked OS thread that waits for functions to run.
type Tracer struct {
	work    chan job
	tid     int
	waiting waiting
	minded  bool          // see MindThreads
	closed  chan struct{} // by Close
}

type job struct {
	f    func(*Ptrace) error
	done chan error
}

// New starts the ptrace thread.
func New() *Tracer {
	t := &Tracer{work: make(chan job), closed: make(chan struct{})}
	ready := make(chan struct{})
	go t.loop(ready)
	<-ready
	return t
}

func (t *Tracer) loop(ready chan struct{}) {
	calm.GrowStack() // for all that runs on it
	// Never unlocked: the thread ends with the goroutine, and what is still
	// attached is detached (or killed, with OptExitKill) by the kernel. The
	// runtime never ends the process's first thread, so that one won't do.
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		defer runtime.UnlockOSThread()
		other := make(chan struct{})
		go t.loop(other)
		<-other
		close(ready)
		return
	}
	t.tid = unix.Gettid()
	close(ready)
	p := &Ptrace{t: t}
	for j := range t.work {
		j.done <- j.f(p)
	}
}

// TID is the id of the ptrace thread: the TracerPid of its tasks.
func (t *Tracer) TID() TID { return TID(t.tid) }

// Do runs f on the ptrace thread and returns its error. f must not call Do.
func (t *Tracer) Do(f func(*Ptrace) error) (err error) {
	defer func() {
		if recover() != nil { // send on a closed channel
			err = ErrClosed
		}
	}()
	j := job{f: f, done: make(chan error, 1)}
	t.work <- j
	return <-j.done
}

// Close ends the thread. Tasks still attached go on, or die with OptExitKill.
func (t *Tracer) Close() {
	defer func() { _ = recover() }()
	close(t.work)
	close(t.closed)
}

// Ptrace has the requests that only the ptrace thread may make. It is valid
// inside the function that Do runs.
type Ptrace struct {
	t      *Tracer
	xstate []byte // room to read an xsave area into
}

// wrap turns an errno into an error that names request and task; ESRCH becomes
// ErrTaskGone. ptrace says ESRCH too for a task that is not in a ptrace stop,
// which the callers' protocol excludes.
func wrap(request string, tid TID, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, unix.ESRCH) {
		err = ErrTaskGone
	}
	return fmt.Errorf("task %d: %s: %w", tid, request, err)
}
