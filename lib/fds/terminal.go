package fds

import (
	"golang.org/x/sys/unix"

	"floe/lib/kabi"
)

// terminal is the kind of terminals. The tree's own is the caller's.
type terminal struct{ external }

// ptmx and the other auxiliary devices of TTYAUX_MAJOR.
const (
	minorTTY  = 0 // /dev/tty, the controlling terminal of who opens it
	minorPtmx = 2
)

// isTTY tells whether a device is a terminal, or the master of one.
func isTTY(rdev uint64) bool {
	major := unix.Major(rdev)
	return major == kabi.TTY_MAJOR || major == kabi.TTYAUX_MAJOR ||
		major >= kabi.UNIX98_PTY_SLAVE_MAJOR && major < kabi.UNIX98_PTY_SLAVE_MAJOR+8
}

func (terminal) takes(d *desc) bool {
	return d.format() == unix.S_IFCHR && d.info.flags&unix.O_PATH == 0 && isTTY(d.stat.Rdev)
}

func (terminal) save(c *collector, d *desc) error {
	rdev := d.stat.Rdev
	aux := unix.Major(rdev) == kabi.TTYAUX_MAJOR
	if aux && unix.Minor(rdev) == minorPtmx {
		return d.refuse("", "the master of a pseudo-terminal (%s)", d.link)
	}
	if aux && unix.Minor(rdev) == minorTTY || c.controls(rdev) || len(c.stdio(d)) > 0 {
		c.external(d, true)
		return nil
	}
	return d.refuse("", "a terminal that is not the tree's own (%s)", d.link)
}

// controls tells whether a terminal is the controlling one of a task.
func (c *collector) controls(rdev uint64) bool {
	for _, t := range c.tree.Tasks {
		if t.HasTty && uint64(t.TtyNr) == encodeDev(rdev) {
			return true
		}
	}
	return false
}

// encodeDev is the form of device numbers in field 7 of /proc/PID/stat: the
// minor's low byte, the major, the rest of the minor.
func encodeDev(rdev uint64) uint64 {
	major, minor := uint64(unix.Major(rdev)), uint64(unix.Minor(rdev))
	return minor&0xff | major<<8 | minor&^0xff<<12
}
