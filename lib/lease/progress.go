package lease

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"floe/lib/procfs"
)

// ReportEvery is how often a stage tells that it goes on.
const ReportEvery = 100 * time.Millisecond

// Report tells freeze that the stage goes on, for as long as it does. look is
// called every ReportEvery and says Moved when something has moved since the
// last time, and else Busy, WantsInput or WantsReader. stop ends it. A stage
// that is stopped tells nothing.
func (c *Client) Report(look func() Kind) (stop func()) {
	r := &reporter{client: c, look: look, told: Moved}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.timer = time.AfterFunc(ReportEvery, r.tick)
	return r.stop
}

type reporter struct {
	client *Client
	look   func() Kind
	mu     sync.Mutex
	timer  *time.Timer
	ended  bool
	told   Kind // last
}

func (r *reporter) tick() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return
	}
	if k := r.look(); k == Moved || k != r.told {
		r.told = k
		m := r.client.msg
		m.Kind = k
		// Where there is no room, freeze has older ones to read.
		_, _ = unix.SendmsgN(r.client.fd, m.marshal(), nil, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
	}
	r.timer.Reset(ReportEvery)
}

func (r *reporter) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	r.timer.Stop()
}

// Stalled says which stage the others wait for when nothing has moved for a
// time; "" when none is at work.
func (s *Server) Stalled(idle time.Duration) string {
	var starved, busy, blocked *member
	for _, m := range s.ordered() {
		switch {
		case m.done:
		case m.stopped():
			return fmt.Sprintf("%s is stopped: nothing has moved for %s", m, idle)
		case m.state == WantsReader:
			blocked = m // the last one: those before it wait for it
		case m.state == WantsInput && starved == nil:
			starved = m // the first one
		case m.state != WantsInput && busy == nil:
			busy = m
		}
	}
	switch {
	case busy != nil:
		return fmt.Sprintf("%s hangs: it has got no further for %s", busy, idle)
	case blocked != nil:
		return fmt.Sprintf("%s is stuck: nobody has read what it writes for %s", blocked, idle)
	case starved != nil:
		return fmt.Sprintf("%s has waited for the rest of its input for %s", starved, idle)
	}
	return ""
}

// idle is why the lease ends when nothing has moved for a time.
func (s *Server) idle(d time.Duration) string {
	if why := s.Stalled(d); why != "" {
		return why
	}
	why := fmt.Sprintf("no stage has worked for %s", d)
	if all := s.ordered(); len(all) > 0 {
		why += fmt.Sprintf(" since %s was done", all[len(all)-1])
	}
	return why
}

// ordered is the stages in the order of the pipeline: each says hello before it
// passes the header on.
func (s *Server) ordered() []*member {
	list := make([]*member, 0, len(s.members))
	for _, m := range s.members {
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b *member) int { return a.seq - b.seq })
	return list
}

func (m *member) String() string { return fmt.Sprintf("%s (task %d)", m.name, m.pid) }

// stopped tells whether a signal or a debugger has stopped a stage.
func (m *member) stopped() bool {
	b, err := procfs.ReadFile(fmt.Sprintf("/proc/%d/stat", m.pid))
	if err != nil {
		return false
	}
	state, start, err := procfs.StateAndStart(b)
	return err == nil && start == m.start && (state == 'T' || state == 't')
}
