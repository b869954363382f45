package fds

import (
	"errors"
	"fmt"
	"math"

	"golang.org/x/sys/unix"

	"floe/lib/record"
)

func (epollKind) opens(o *record.OpenFile, _ *Set) bool { return o.GetEpoll() != nil }

func (epollKind) open(_ *Set, _ *record.OpenFile) (int, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("epoll_create1: %w", err)
	}
	return fd, nil
}

// finish notes what the epoll watches; fillEpolls adds it when all is open.
func (epollKind) finish(s *Set, o *record.OpenFile, fd int) error {
	s.epolls = append(s.epolls, o)
	return setStatus(fd, o.Flags)
}

// EpollAdd is one EPOLL_CTL_ADD that only a task can do: by the numbers of its
// descriptor table.
type EpollAdd struct {
	FilesID  uint64
	Epfd, Fd int32
	Events   uint32
	Data     uint64
}

// EpollAdds lists what tasks must add to epolls: signalfds, which tell of the
// signals of who added them. All else is in the epolls already.
func (s *Set) EpollAdds() []EpollAdd { return s.adds }

// addInTask notes an EpollAdd.
func (s *Set) addInTask(o *record.OpenFile, t *record.OpenFile_Epoll_Target) error {
	if fd, ok := s.uses.slots[place{t.FilesId, o.OpenId}]; ok {
		s.adds = append(s.adds, EpollAdd{FilesID: t.FilesId, Epfd: fd, Fd: t.Slot, Events: t.Events, Data: t.Data})
		return nil
	}
	return errNoEpoll(t)
}

func errNoEpoll(t *record.OpenFile_Epoll_Target) error {
	return fmt.Errorf("an epoll watches a signalfd of descriptor table %d, which doesn't have the epoll", t.FilesId)
}

// fillEpolls adds to the epolls what they watch. An entry keeps the number
// that it was added under, by which it is changed and removed later: in a
// descriptor table of its own, a thread gives every file the number that it
// needs.
func (s *Set) fillEpolls() error {
	top, any := int32(stderr), false
	for _, o := range s.epolls {
		for _, t := range o.GetEpoll().Targets {
			if t.Fd < 0 || t.Fd == math.MaxInt32 {
				return s.about(o.OpenId, fmt.Errorf("epoll: number %d is out of range", t.Fd))
			}
			top, any = max(top, t.Fd), true
		}
	}
	if !any {
		return nil
	}
	return inOwnTable(func() error {
		high, err := s.raise(int(top) + 1)
		for _, o := range s.epolls {
			if err == nil {
				err = s.about(o.OpenId, s.fillEpoll(o, high))
			}
		}
		return err
	})
}

// raise duplicates all epolls and what they watch to numbers from floor up,
// out of the way of the numbers that are needed. By open_id.
func (s *Set) raise(floor int) (map[uint64]int, error) {
	high := map[uint64]int{}
	up := func(id uint64) error {
		if _, ok := high[id]; ok {
			return nil
		}
		fd, ok := s.fds[id]
		if !ok {
			return fmt.Errorf("epoll: open file %d is not in the image", id)
		}
		var err error
		if high[id], err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, floor); err != nil {
			return fmt.Errorf("epoll: dup above %d: %w; raise the limit of open files (ulimit -n)", floor, err)
		}
		return nil
	}
	for _, o := range s.epolls {
		if err := up(o.OpenId); err != nil {
			return nil, s.about(o.OpenId, err)
		}
		for _, t := range o.GetEpoll().Targets {
			if err := up(t.OpenId); err != nil {
				return nil, s.about(o.OpenId, err)
			}
		}
	}
	return high, nil
}

// fillEpoll fills one epoll.
func (s *Set) fillEpoll(o *record.OpenFile, high map[uint64]int) error {
	targets := o.GetEpoll().Targets
	for _, spentOnes := range []bool{true, false} {
		for _, t := range targets {
			if spent(t.Events) != spentOnes {
				continue
			}
			if s.im.OpenFile(t.OpenId).GetSignalfd() != nil {
				if err := s.addInTask(o, t); err != nil {
					return err
				}
				continue
			}
			if err := s.addWatch(high[o.OpenId], high[t.OpenId], t); err != nil {
				return fmt.Errorf("epoll: adding fd %d: %w", t.Fd, err)
			}
		}
	}
	return nil
}

// spent tells whether an EPOLLONESHOT entry has fired and waits for being armed
// again: none but private bits are left.
func spent(events uint32) bool {
	const private = unix.EPOLLONESHOT | unix.EPOLLET | unix.EPOLLWAKEUP | unix.EPOLLEXCLUSIVE
	return events&unix.EPOLLONESHOT != 0 && events&^private == 0
}

func (s *Set) addWatch(ep, fd int, t *record.OpenFile_Epoll_Target) error {
	if err := unix.Dup3(fd, int(t.Fd), unix.O_CLOEXEC); err != nil {
		return fmt.Errorf("dup3: %w; raise the limit of open files (ulimit -n)", err)
	}
	ev := unix.EpollEvent{Events: t.Events, Fd: int32(t.Data), Pad: int32(t.Data >> 32)}
	if spent(t.Events) {
		return spend(ep, int(t.Fd), ev)
	}
	err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, int(t.Fd), &ev)
	if errors.Is(err, unix.EPERM) && s.im.OpenFile(t.OpenId).GetExternal() != nil {
		s.opt.warnf("what stands for %s here can't be polled; the tree won't be told when it is ready", s.im.OpenFile(t.OpenId).GetExternal().What)
		return nil
	}
	return err
}

// spend adds a spent entry. The kernel arms what is added for errors at least,
// so the entry is made to fire, where its file is ready for anything, and its
// event is taken; otherwise it stays armed for an error or a hang-up.
func spend(ep, fd int, ev unix.EpollEvent) error {
	once := ev
	once.Events |= unix.EPOLLIN | unix.EPOLLOUT
	if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &once); err != nil {
		return err
	}
	// Only spent entries are in it so far: this event is the entry's.
	var got [1]unix.EpollEvent
	if n, err := unix.EpollWait(ep, got[:], 0); err != nil || n == 1 {
		return err
	}
	return unix.EpollCtl(ep, unix.EPOLL_CTL_MOD, fd, &ev)
}
