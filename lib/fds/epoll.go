package fds

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"floe/lib/cli"
	"floe/lib/image"
	"floe/lib/kabi"
	"floe/lib/record"
	"floe/lib/stub"
)

// epollKind is the kind of epoll(7) instances.
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

func (epollKind) fields() []string { return []string{"tfd"} }

func (epollKind) save(c *collector, d *desc) error {
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
	if err := c.busyPolling(d, e); err != nil {
		return err
	}
	return c.edges(d, e)
}

// busyPolling saves how an epoll polls network devices.
func (c *collector) busyPolling(d *desc, e *record.OpenFile_Epoll) error {
	fd, err := c.dup(d)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var p kabi.EpollParams
	switch err := ioctl(fd, unix.EPIOCGPARAMS, &p); {
	case errors.Is(err, unix.ENOTTY), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP): // before Linux 6.9
	case err != nil:
		return fmt.Errorf("EPIOCGPARAMS: %w", err)
	}
	e.BusyPollUsecs, e.BusyPollBudget, e.PreferBusyPoll = p.BusyPollUsecs, uint32(p.BusyPollBudget), p.PreferBusyPoll != 0
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
			return w, fmt.Errorf("%s: unknown", f[i])
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

func (epollKind) opens(_ *image.Image, o *record.OpenFile) bool { return o.GetEpoll() != nil }

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
	e := o.GetEpoll()
	p := kabi.EpollParams{BusyPollUsecs: e.BusyPollUsecs, BusyPollBudget: uint16(e.BusyPollBudget)}
	if e.PreferBusyPoll {
		p.PreferBusyPoll = 1
	}
	if p != (kabi.EpollParams{}) {
		if err := ioctl(fd, unix.EPIOCSPARAMS, &p); err != nil {
			return fmt.Errorf("epoll: busy polling (EPIOCSPARAMS): %w; it needs Linux 6.9, and CAP_NET_ADMIN for a budget above 64", err)
		}
	}
	return setStatus(fd, o.Flags)
}

// complete fills the epolls.
func (epollKind) complete(s *Set) error { return s.fillEpolls() }

// addInTask plans an EPOLL_CTL_ADD that only a task can do, by the numbers of its
// descriptor table: of a signalfd, which reports the signals of the task that
// added it.
func (s *Set) addInTask(o *record.OpenFile, t *record.OpenFile_Epoll_Target) error {
	if fd, ok := s.uses.slots[place{t.FilesId, o.OpenId}]; ok {
		ev := make([]byte, 12) // struct epoll_event, packed
		binary.LittleEndian.PutUint32(ev, t.Events)
		binary.LittleEndian.PutUint64(ev[4:], t.Data)
		s.calls[t.FilesId] = append(s.calls[t.FilesId], stub.Call{What: "epoll_ctl of fd", Of: number(t.Slot), Nr: unix.SYS_EPOLL_CTL,
			Args: []stub.Arg{stub.I(fd), stub.I(unix.EPOLL_CTL_ADD), stub.I(t.Slot), stub.D(ev)}})
		return nil
	}
	return errNoEpoll(t)
}

func (epollKind) check(s *Set, o *record.OpenFile) error {
	if b := o.GetEpoll().BusyPollBudget; b > math.MaxUint16 {
		return fmt.Errorf("an epoll with a busy poll budget of %d", b)
	}
	for _, t := range o.GetEpoll().Targets {
		switch {
		case t.OpenId == o.OpenId || !s.im.HasOpenFile(t.OpenId):
			return fmt.Errorf("an epoll that watches open file %d, which is not in the image or itself", t.OpenId)
		case t.Fd < 0 || t.Fd >= maxFd:
			return fmt.Errorf("an epoll that watches descriptor %d", t.Fd)
		case t.FilesId != 0 && s.im.Fd(t.FilesId, t.Slot) == nil:
			return fmt.Errorf("an epoll that watches fd %d of descriptor table %d, which is not in the image", t.Slot, t.FilesId)
		}
		if s.uses.signals[t.OpenId] {
			if _, ok := s.uses.slots[place{t.FilesId, o.OpenId}]; !ok {
				return errNoEpoll(t)
			}
		}
	}
	return s.checkNesting(o, 0)
}

// maxFd is above any descriptor number: the highest fs.nr_open.
const maxFd = 1 << 30

// maxNesting is more epolls, one in another, than any kernel takes.
const maxNesting = 8

// checkNesting checks that no epoll watches itself by way of others, which no
// kernel lets one do.
func (s *Set) checkNesting(o *record.OpenFile, level int) error {
	if level > maxNesting {
		return fmt.Errorf("an epoll that watches itself by way of others, or too many one in another")
	}
	if s.nested[o.OpenId] {
		return nil
	}
	for _, t := range o.GetEpoll().GetTargets() {
		if !s.uses.epolls[t.OpenId] || s.nested[t.OpenId] {
			continue
		}
		if err := s.checkNesting(s.im.OpenFile(t.OpenId), level+1); err != nil {
			return err
		}
	}
	s.nested[o.OpenId] = true
	return nil
}

// shownTargets bounds what is shown of an epoll.
const shownTargets = 32

func (epollKind) show(_ *image.Image, o *record.OpenFile) string {
	e := o.GetEpoll()
	var list []string
	for _, t := range e.Targets[:min(len(e.Targets), shownTargets)] {
		list = append(list, strconv.Itoa(int(t.Fd)))
	}
	if len(e.Targets) > shownTargets {
		list = append(list, "...")
	}
	return fmt.Sprintf("epoll of %s: %s", cli.Count(len(e.Targets), "descriptor"), strings.Join(list, " "))
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
		for _, o := range innerFirst(s.epolls) {
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
	for turn := range turns {
		for _, t := range targets {
			if turnOf(t) != turn {
				continue
			}
			if s.uses.signals[t.OpenId] {
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
	switch turnOf(t) {
	case turnSpent:
		return spend(ep, int(t.Fd), ev)
	case turnReported:
		return s.addReported(ep, int(t.Fd), ev, t)
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
