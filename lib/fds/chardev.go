package fds

import (
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/image"
	"floe/lib/kabi"
	"floe/lib/record"
)

// charDevice is the kind of character devices that have no state and are on
// every machine: opening them by name gives the same back.
type charDevice struct{}

// harmless are the minor numbers of such devices under MEM_MAJOR.
var harmless = map[uint32]string{3: "null", 5: "zero", 7: "full", 8: "random", 9: "urandom"}

func isHarmless(rdev uint64) bool {
	return unix.Major(rdev) == kabi.MEM_MAJOR && harmless[unix.Minor(rdev)] != ""
}

func (charDevice) takes(d *desc) bool {
	return d.format() == unix.S_IFCHR && d.info.flags&unix.O_PATH == 0 && !isTTY(d.stat.Rdev)
}

func (charDevice) save(c *collector, d *desc) error {
	if !isHarmless(d.stat.Rdev) {
		return d.refuse("", "a character device (%d:%d, %s)", unix.Major(d.stat.Rdev), unix.Minor(d.stat.Rdev), d.link)
	}
	what, hint := c.reachable(d.link, &d.stat)
	if what == "" {
		what = d.small()
	}
	if what != "" {
		return d.refuse(hint, "%s", what)
	}
	id, err := c.file(d.link, &d.stat)
	if err != nil {
		return err
	}
	d.rec.Object = &record.OpenFile_Path_{Path: &record.OpenFile_Path{FileId: id}}
	return nil
}

func (charDevice) opens(im *image.Image, o *record.OpenFile) bool {
	return o.GetPath() != nil && o.Flags&unix.O_PATH == 0 && formatOf(im, o) == unix.S_IFCHR
}

func (charDevice) open(s *Set, o *record.OpenFile) (int, error) {
	f, err := s.file(o.GetPath().FileId)
	if err != nil {
		return -1, err
	}
	if !isHarmless(f.Rdev) {
		return -1, fmt.Errorf("%s: device %d:%d is not one that is opened by name", f.Path, unix.Major(f.Rdev), unix.Minor(f.Rdev))
	}
	return openChecked(f, openFlags(o), checks{sameBoot: s.sameBoot, force: s.opt.ForceFiles})
}

func (charDevice) check(s *Set, o *record.OpenFile) error {
	f, err := s.file(o.GetPath().FileId)
	if err != nil {
		return err
	}
	return checkNotTemporary(f, o)
}

func (charDevice) show(im *image.Image, o *record.OpenFile) string { return showPath(im, o) }
