package fds

import (
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/record"
)

// An edge-triggered entry whose file is ready has either been reported or is still
// to be. The kernel doesn't show which: it is in the epoll's list of what is to be
// reported, or not, and to look at the list is to take from it. But poll(2) of the
// epoll says whether anything is in the list, and takes nothing. So
//
//   - with nothing in the list, all that is ready has been reported, and restore
//     takes what comes of adding it;
//   - otherwise all that is ready is reported, once more where it has been: a program
//     must be prepared for that, and can't be for an edge that never comes.

// edges notes which entries of an epoll have been reported.
func (c *collector) edges(d *desc, e *record.OpenFile_Epoll) error {
	any := false
	for _, t := range e.Targets {
		any = any || edge(t)
	}
	if !any {
		return nil
	}
	waiting, err := c.polls(d, unix.POLLIN)
	if err != nil {
		return err
	}
	for _, t := range e.Targets {
		target := c.byID(t.OpenId)
		if waiting || !edge(t) || target == nil || target.rec.GetExternal() != nil || target.rec.GetSignalfd() != nil {
			continue // of those, the caller's will be another file, and a signalfd is ready for a task
		}
		// Their upper bits are epoll's own, the lower ones poll's.
		if t.Reported, err = c.polls(target, int16(t.Events)); err != nil {
			return err
		}
	}
	return nil
}

// edge tells an edge-triggered entry. One that is armed for one shot is in the list
// whenever its file is ready.
func edge(t *record.OpenFile_Epoll_Target) bool {
	return t.Events&edgeTriggered != 0 && t.Events&unix.EPOLLONESHOT == 0
}

// edgeTriggered is EPOLLET, which x/sys has as a negative number.
const edgeTriggered = 1 << 31

// The order in which entries are added: an event that is taken from an epoll must
// be that of the entry that it is taken for.
const (
	turnSpent = iota
	turnReported
	turnRest
	turns
)

func turnOf(t *record.OpenFile_Epoll_Target) int {
	switch {
	case spent(t.Events):
		return turnSpent
	case t.Reported && edge(t):
		return turnReported
	}
	return turnRest
}

// addReported adds an entry whose file is ready, and takes the event that comes of
// it. A timer may have expired since it was set: that is a new edge.
func (s *Set) addReported(ep, fd int, ev unix.EpollEvent, t *record.OpenFile_Epoll_Target) error {
	if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return err
	}
	var got [8]unix.EpollEvent
	for {
		n, err := unix.EpollWait(ep, got[:], 0)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
	}
	timer := s.im.OpenFile(t.OpenId).GetTimerfd()
	if timer == nil {
		return nil
	}
	now, err := ownTimer(fd)
	if err != nil || now.Ticks <= timer.Ticks {
		return err
	}
	if err := unix.EpollCtl(ep, unix.EPOLL_CTL_DEL, fd, nil); err != nil {
		return err
	}
	return unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &ev)
}

// innerFirst puts epolls behind those that they watch: an epoll that gets its
// entries is an edge for the one that it is in.
func innerFirst(list []*record.OpenFile) []*record.OpenFile {
	by := map[uint64]*record.OpenFile{}
	for _, o := range list {
		by[o.OpenId] = o
	}
	var out []*record.OpenFile
	var visit func(o *record.OpenFile)
	visit = func(o *record.OpenFile) {
		if by[o.OpenId] == nil {
			return
		}
		delete(by, o.OpenId)
		for _, t := range o.GetEpoll().Targets {
			if in := by[t.OpenId]; in != nil {
				visit(in)
			}
		}
		out = append(out, o)
	}
	for _, o := range list {
		visit(o)
	}
	return out
}

// ownTimer is what a timerfd of this thread's shows.
func ownTimer(fd int) (*record.OpenFile_TimerFd, error) {
	dir, err := openFDDirs(int32(unix.Gettid()))
	if err != nil {
		return nil, fmt.Errorf("timerfd: %w", err)
	}
	defer dir.close()
	info, err := dir.info(int32(fd))
	if err != nil {
		return nil, err
	}
	return parseTimer(info)
}
