package fds

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"floe/lib/cli"
	"floe/lib/clocks"
	"floe/lib/image"
	"floe/lib/kabi"
	"floe/lib/record"
)

// timerFD is the kind of timerfd_create(2).
//
// What is left of a timer is counted from Header.clocks, the moment of the
// freeze. A relative timer gets that at restore, an interval timer too; one with
// an absolute deadline keeps it where its clock goes on: the time of day always,
// the others on the same boot.
type timerFD struct{ flagged }

func (timerFD) takes(d *desc) bool { return anonName(d.link) == "timerfd" }

func (timerFD) fields() []string {
	return []string{"clockid", "ticks", "settime flags", "it_value", "it_interval"}
}

func (timerFD) save(c *collector, d *desc) error {
	t, err := parseTimer(d.info)
	if err != nil {
		return err
	}
	if t.ValueNs == 0 && t.IntervalNs != 0 {
		// An interval timer that has expired stands still until it is read or
		// asked: asking makes it catch up, and reading gives the same as before.
		if t, err = c.askTimer(d); err != nil {
			return err
		}
	}
	if t.ValueNs != 0 {
		now, err := clocks.Now()
		if err != nil {
			return err
		}
		passed := clockOf(now, t.Clock) - clockOf(c.clock, t.Clock)
		t.ValueNs = uint64(max(int64(t.ValueNs)+passed, 1))
	}
	d.rec.Object = &record.OpenFile_Timerfd{Timerfd: t}
	return nil
}

func (c *collector) askTimer(d *desc) (*record.OpenFile_TimerFd, error) {
	fd, err := c.dup(d)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var it unix.ItimerSpec
	if err := unix.TimerfdGettime(fd, &it); err != nil {
		return nil, fmt.Errorf("timerfd_gettime: %w", err)
	}
	dir, err := openFDDirs(d.slots[0].table.task.Pid)
	if err != nil {
		return nil, err
	}
	defer dir.close()
	info, err := dir.info(d.slots[0].fd)
	if err != nil {
		return nil, err
	}
	t, err := parseTimer(info)
	if err == nil && t.ValueNs == 0 {
		t.ValueNs = uint64(max(it.Value.Nano(), 1))
	}
	return t, err
}

// parseTimer reads the lines of fdinfo: "clockid: 1", "ticks: 0",
// "settime flags: 01", "it_value: (0, 49406829)", "it_interval: (1, 0)".
func parseTimer(info *fdinfo) (*record.OpenFile_TimerFd, error) {
	clock, err := strconv.ParseInt(info.get("clockid"), 10, 32)
	if err != nil {
		return nil, fmt.Errorf("fdinfo: clockid: %w", err)
	}
	ticks, err1 := info.uint("ticks", 10, 64)
	flags, err2 := info.uint("settime flags", 8, 32)
	value, err3 := parseTimespec(info.get("it_value"))
	interval, err4 := parseTimespec(info.get("it_interval"))
	return &record.OpenFile_TimerFd{
		Clock: int32(clock), Ticks: ticks, SettimeFlags: uint32(flags), ValueNs: value, IntervalNs: interval,
	}, errors.Join(err1, err2, err3, err4)
}

func parseTimespec(s string) (uint64, error) {
	sec, nsec, ok := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(s, "("), ")"), ", ")
	a, err1 := strconv.ParseUint(sec, 10, 63)
	b, err2 := strconv.ParseUint(nsec, 10, 32)
	if !ok || err1 != nil || err2 != nil || a > math.MaxInt64/uint64(time.Second)-1 {
		return 0, fmt.Errorf("fdinfo: %q is no time", s)
	}
	return a*uint64(time.Second) + b, nil
}

// clockOf is what a clock of a timerfd showed at the freeze; nanoseconds.
func clockOf(c *record.Clocks, id int32) int64 {
	switch id {
	case unix.CLOCK_REALTIME, unix.CLOCK_REALTIME_ALARM:
		return c.GetRealtimeNs()
	case unix.CLOCK_BOOTTIME, unix.CLOCK_BOOTTIME_ALARM:
		return c.GetBoottimeNs()
	}
	return c.GetMonotonicNs()
}

func (timerFD) opens(_ *image.Image, o *record.OpenFile) bool { return o.GetTimerfd() != nil }

func (timerFD) open(s *Set, o *record.OpenFile) (int, error) {
	t := o.GetTimerfd()
	fd, err := unix.TimerfdCreate(int(t.Clock), unix.O_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("timerfd_create on clock %d: %w", t.Clock, err)
	}
	if err := s.setTimer(fd, t); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func (s *Set) setTimer(fd int, t *record.OpenFile_TimerFd) error {
	value := int64(min(t.ValueNs, math.MaxInt64/2))
	if value != 0 && t.SettimeFlags&unix.TFD_TIMER_ABSTIME != 0 {
		from, err := s.clocksFor(t)
		if err != nil {
			return err
		}
		value = max(value+clockOf(from, t.Clock), 1)
	}
	it := unix.ItimerSpec{Value: unix.NsecToTimespec(value), Interval: unix.NsecToTimespec(int64(min(t.IntervalNs, math.MaxInt64/2)))}
	if err := unix.TimerfdSettime(fd, int(t.SettimeFlags), &it, nil); err != nil {
		return fmt.Errorf("timerfd_settime: %w", err)
	}
	if t.Ticks == 0 {
		return nil
	}
	if err := ioctl(fd, kabi.TFD_IOC_SET_TICKS, &t.Ticks); err != nil {
		return fmt.Errorf("timerfd: setting its %d unread expirations: %w; it needs a kernel with CONFIG_CHECKPOINT_RESTORE", t.Ticks, err)
	}
	return nil
}

// clocksFor is the clocks that what is left of an absolute timer is added to.
// It is in the time namespace of this process, as timerfd_settime(2) takes it.
func (s *Set) clocksFor(t *record.OpenFile_TimerFd) (*record.Clocks, error) {
	realtime := t.Clock == unix.CLOCK_REALTIME || t.Clock == unix.CLOCK_REALTIME_ALARM
	c := s.im.Header.GetClocks()
	if s.opt.Clocks != nil {
		c = s.opt.Clocks
	}
	if c == nil || t.IntervalNs != 0 || !realtime && !s.sameBoot && s.opt.Clocks == nil {
		var err error
		if c, err = clocks.Now(); err != nil {
			return nil, err
		}
	}
	own, err := clocks.Own()
	if err != nil {
		return nil, err
	}
	return &record.Clocks{RealtimeNs: c.RealtimeNs, MonotonicNs: c.MonotonicNs + own.Monotonic, BoottimeNs: c.BoottimeNs + own.Boottime}, nil
}

// timerClocks are the clocks that a timerfd can have.
var timerClocks = map[int32]string{
	unix.CLOCK_REALTIME: "realtime", unix.CLOCK_MONOTONIC: "monotonic", unix.CLOCK_BOOTTIME: "boottime",
	unix.CLOCK_REALTIME_ALARM: "realtime alarm", unix.CLOCK_BOOTTIME_ALARM: "boottime alarm",
}

func (timerFD) check(_ *Set, o *record.OpenFile) error {
	if c := o.GetTimerfd().Clock; timerClocks[c] == "" {
		return fmt.Errorf("a timerfd of clock %d: there is no such timerfd", c)
	}
	return nil
}

func (timerFD) needs(o *record.OpenFile) (int, string) {
	if c := o.GetTimerfd().Clock; c == unix.CLOCK_REALTIME_ALARM || c == unix.CLOCK_BOOTTIME_ALARM {
		return unix.CAP_WAKE_ALARM, "timers that wake the machine up"
	}
	return 0, ""
}

func (timerFD) show(_ *image.Image, o *record.OpenFile) string {
	t := o.GetTimerfd()
	clock := timerClocks[t.Clock]
	if clock == "" {
		clock = strconv.Itoa(int(t.Clock))
	}
	text := "timerfd, clock " + clock
	if t.ValueNs == 0 {
		text += ", not set"
	} else {
		text += fmt.Sprintf(", due in %s", time.Duration(t.ValueNs))
	}
	if t.IntervalNs != 0 {
		text += fmt.Sprintf(", every %s", time.Duration(t.IntervalNs))
	}
	if t.Ticks != 0 {
		text += fmt.Sprintf(", %s not read", cli.Count(t.Ticks, "tick"))
	}
	return text
}
