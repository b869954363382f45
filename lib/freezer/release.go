package freezer

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"floe/lib/procfs"
	"floe/lib/tracer"
)

// release lets everything go that an attempt has stopped. A thread that has
// not stopped is waited for: only then it can be let go.
func (t *Tree) release(ctx context.Context, p *tracer.Ptrace) error {
	for _, th := range t.threads {
		if err := t.drop(p, th); err != nil {
			return err
		}
	}
	const grace = 200 * time.Millisecond // past the end of ctx
	var end time.Time
	for waiting := t.running(); len(waiting) > 0; waiting = t.running() {
		if ctx.Err() != nil {
			if now := time.Now(); end.IsZero() {
				end = now.Add(grace)
			} else if now.After(end) {
				return nil
			}
		}
		first := waiting[0]
		_, moved, err := t.poll(p, waiting)
		if err != nil {
			return err
		}
		for _, th := range t.threads {
			if err := t.drop(p, th); err != nil {
				return err
			}
		}
		if !moved {
			first.gone = lost(first.TID)
			time.Sleep(100 * time.Microsecond)
		}
	}
	return nil
}

// lost tells whether a thread is no more, or is another one by now, that we
// don't hold: exec gives the thread that calls it the leader's id, and the old
// leader ends without a word.
func lost(tid tracer.TID) bool {
	st, err := procfs.ReadStatus(int(tid))
	return err != nil || st.Tracer != unix.Gettid()
}

// drop lets a stopped thread go. One that has turned out to run (exec gave it
// the id of another that was stopped) is asked to stop first.
func (t *Tree) drop(p *tracer.Ptrace, th *Thread) error {
	if th.gone || !th.stopped {
		return nil
	}
	err := p.Detach(th.TID, 0)
	th.gone = err == nil
	if errors.Is(err, tracer.ErrTaskGone) {
		th.stopped, err = false, nil
		th.gone = p.Interrupt(th.TID) != nil
	}
	return err
}
