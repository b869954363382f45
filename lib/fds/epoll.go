package fds

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"floe/lib/kabi"
	"floe/lib/record"
)

// epollKind is the kind of epoll(7) instances: at restore in epollopen.go.
type epollKind struct{}

func (epollKind) takes(d *desc) bool { return anonName(d.link) == "eventpoll" }

// watch is a "tfd" line of an epoll's fdinfo.
type watch struct {
	fd     int32  // the number it was added under
	off    uint32 // which of those added under the same number
	events uint32
	data   uint64
	ino    uint64
	dev    uint64 // as the kernel has it: major<<20 | minor
}

func (epollKind) describe(c *collector, d *desc) error {
	list, err := watches(d.info)
	if err != nil {
		return err
	}
	e := &record.OpenFile_Epoll{}
	for _, w := range list {
		t, err := c.watched(d, w)
		if err != nil {
			return err
		}
		e.Targets = append(e.Targets, t)
	}
	d.rec.Object = &record.OpenFile_Epoll_{Epoll: e}
	return nil
}

// watches parses lines such as
//
//	tfd:       17 events:       19 data:               11  pos:0 ino:40f sdev:10
func watches(info *fdinfo) ([]watch, error) {
	var list []watch
	seen := map[int32]uint32{}
	for _, l := range info.rest {
		if l.key != "tfd" {
			continue
		}
		w, err := parseWatch(l.value)
		if err != nil {
			return nil, fmt.Errorf("fdinfo: %q: %w", l.value, err)
		}
		w.off = seen[w.fd]
		seen[w.fd]++
		list = append(list, w)
	}
	return list, nil
}

func parseWatch(s string) (w watch, err error) {
	number, rest, _ := strings.Cut(s, " ")
	fd, err := strconv.ParseInt(number, 10, 32)
	if err != nil {
		return w, err
	}
	w.fd = int32(fd)
	seen := 0
	f := strings.Fields(strings.ReplaceAll(rest, ":", ": "))
	for i := 0; i+1 < len(f); i += 2 {
		v, err := strconv.ParseUint(f[i+1], 16, 64)
		if f[i] == "pos:" {
			continue
		}
		if err != nil {
			return w, err
		}
		switch f[i] {
		case "events:":
			w.events = uint32(v)
		case "data:":
			w.data = v
		case "ino:":
			w.ino = v
		case "sdev:":
			w.dev = v
		default:
			continue
		}
		seen++
	}
	if seen != 4 {
		return w, fmt.Errorf("it lacks events, data, ino or sdev")
	}
	return w, nil
}

// watched finds the description that an epoll watches. The number that it was
// added under may have been closed or have become another file since.
func (c *collector) watched(d *desc, w watch) (*record.OpenFile_Epoll_Target, error) {
	e := d.slots[0]
	slot := kabi.KcmpEpollSlot{Efd: uint32(e.fd), Tfd: uint32(w.fd), Toff: w.off}
	for _, known := range c.candidates(w) {
		s := known.slots[0]
		r, err := kcmpEpoll(s.table.task.Pid, s.fd, e.table.task.Pid, slot)
		if err != nil {
			return nil, fmt.Errorf("kcmp of fd %d of task %d with what was added as %d: %w", s.fd, s.table.task.Pid, w.fd, err)
		}
		if r == kcmpSame {
			return c.target(d, known, w)
		}
	}
	return nil, d.refuse("end who uses it, or make it remove what it has closed", "an epoll that watches a file (added as fd %d) which no task of the tree has open any more,", w.fd)
}

// candidates are the descriptions of the inode that an epoll watches: those
// that have the number first.
func (c *collector) candidates(w watch) []*desc {
	dev := unix.Mkdev(uint32(w.dev>>20), uint32(w.dev&(1<<20-1)))
	var first, rest []*desc
	for _, d := range c.descs {
		if d.stat.Ino != w.ino || d.stat.Dev != dev {
			continue
		}
		if hasNumber(d, w.fd) {
			first = append(first, d)
		} else {
			rest = append(rest, d)
		}
	}
	return append(first, rest...)
}

func hasNumber(d *desc, fd int32) bool {
	for _, s := range d.slots {
		if s.fd == fd {
			return true
		}
	}
	return false
}

// target is what the image says about a watched description.
func (c *collector) target(epoll, d *desc, w watch) (*record.OpenFile_Epoll_Target, error) {
	t := &record.OpenFile_Epoll_Target{Fd: w.fd, OpenId: d.slots[0].id(), Events: w.events, Data: w.data, Slot: -1}
	for _, s := range d.slots {
		if s.fd == w.fd && tableHas(s.table, epoll) {
			t.OpenId, t.FilesId, t.Slot = s.id(), s.table.id, s.fd
			return t, nil
		}
	}
	if d.rec.GetSignalfd() != nil {
		// An epoll hears of the signals of the task that added the signalfd, so
		// only such a task can add it.
		return nil, epoll.refuse("", "an epoll that watches a signalfd which no task has as fd %d any more", w.fd)
	}
	return t, nil
}

func tableHas(t *table, d *desc) bool {
	for _, s := range d.slots {
		if s.table == t {
			return true
		}
	}
	return false
}
