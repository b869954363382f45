package image

import (
	"golang.org/x/sys/unix"

	"floe/lib/record"
)

func (im *Image) checkEpoll(id uint64, e *record.OpenFile_Epoll) error {
	for _, t := range e.Targets {
		if t.OpenId == id || !im.HasOpenFile(t.OpenId) {
			return openError(id, "an epoll that watches open file %d, which is not in the image or itself", t.OpenId)
		}
		if t.Fd < 0 || t.Fd >= maxFd {
			return openError(id, "an epoll that watches descriptor %d", t.Fd)
		}
		if t.FilesId != 0 && im.Fd(t.FilesId, t.Slot) == nil {
			return openError(id, "an epoll that watches fd %d of descriptor table %d, which is not in the image", t.Slot, t.FilesId)
		}
	}
	return nil
}

// maxNesting is more epolls, one in another, than any kernel takes.
const maxNesting = 8

// checkNesting checks that no epoll watches itself by way of others, which no
// kernel lets one do.
func (im *Image) checkNesting() error {
	done := map[uint64]bool{}
	var visit func(id uint64, level int) error
	visit = func(id uint64, level int) error {
		if done[id] {
			return nil
		}
		e := im.OpenFile(id).GetEpoll()
		if e == nil {
			done[id] = true
			return nil
		}
		if level > maxNesting {
			return openError(id, "an epoll that watches itself by way of others, or too many one in another")
		}
		for _, t := range e.Targets {
			if err := visit(t.OpenId, level+1); err != nil {
				return err
			}
		}
		done[id] = true
		return nil
	}
	for _, id := range im.OpenOrder {
		if err := visit(id, 0); err != nil {
			return err
		}
	}
	return nil
}

func checkTimerfd(id uint64, t *record.OpenFile_TimerFd) error {
	switch t.Clock {
	case unix.CLOCK_REALTIME, unix.CLOCK_MONOTONIC, unix.CLOCK_BOOTTIME, unix.CLOCK_REALTIME_ALARM, unix.CLOCK_BOOTTIME_ALARM:
		return nil
	}
	return openError(id, "a timerfd of clock %d: there is no such timerfd", t.Clock)
}
