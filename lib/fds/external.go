package fds

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"floe/lib/image"
	"floe/lib/record"
)

// external is what belongs to the caller, of whatever kind it is: the terminal,
// pipes and sockets to the outside. restore gives its own stdin, stdout or stderr
// for it.
//
// A description that is at more than one of the descriptors 0 to 2, as a
// terminal mostly is, becomes one for each: the caller of restore may send
// them different ways.
type external struct{}

func (external) opens(_ *image.Image, o *record.OpenFile) bool { return o.GetExternal() != nil }

func (external) check(_ *Set, o *record.OpenFile) error {
	if n := o.GetExternal().Stdio; n > stderr {
		return fmt.Errorf("it is to be descriptor %d of restore, which is none of 0, 1 and 2", n)
	}
	return nil
}

func (external) show(_ *image.Image, o *record.OpenFile) string {
	e := o.GetExternal()
	name := fmt.Sprintf("descriptor %d", e.Stdio)
	if e.Stdio <= stderr {
		name = []string{"standard input", "standard output", "standard error"}[e.Stdio]
	}
	text := fmt.Sprintf("%s of restore; it was %s", name, e.What)
	if e.Tty {
		text += ", a terminal"
	}
	return text
}

const stderr = 2

// stdio lists the numbers of 0 to 2 that an object has anywhere in the tree.
func (c *collector) stdio(d *desc) []int32 {
	var list []int32
	for _, d := range c.sameObject(d) {
		list = append(list, d.stdio()...)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// sameObject lists the descriptions of one object.
func (c *collector) sameObject(d *desc) []*desc {
	if d.format() != unix.S_IFCHR {
		return c.byObject[d.object()]
	}
	var list []*desc // a device may have several inodes
	for _, other := range c.descs {
		if other.format() == unix.S_IFCHR && other.stat.Rdev == d.stat.Rdev {
			list = append(list, other)
		}
	}
	return list
}

func (d *desc) stdio() []int32 {
	var list []int32
	for _, s := range d.slots {
		if s.fd <= stderr {
			list = append(list, s.fd)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// external makes d the caller's.
func (c *collector) external(d *desc, tty bool) {
	byNumber := map[int32]uint64{}
	add := func(n int32) uint64 {
		id, ok := byNumber[n]
		if ok {
			return id
		}
		rec := d.rec
		if len(byNumber) > 0 {
			c.nextOpen++
			rec = &record.OpenFile{OpenId: c.nextOpen, Flags: d.rec.Flags, Pos: d.rec.Pos}
			c.extra = append(c.extra, rec)
		}
		rec.Object = &record.OpenFile_External_{External: &record.OpenFile_External{Stdio: uint32(n), What: d.link, Tty: tty}}
		byNumber[n] = rec.OpenId
		return rec.OpenId
	}
	for _, s := range d.slots {
		n := s.fd
		if n > stderr {
			n = c.substitute(d)
		}
		s.openID = add(n)
	}
}

// substitute is the number for those of d's descriptors that are none of 0 to
// 2: saved ones, as bash's 10 and 255.
func (c *collector) substitute(d *desc) int32 {
	have := d.stdio()
	if len(have) == 0 {
		have = c.stdio(d)
	}
	var wish []int32
	switch d.info.access() {
	case unix.O_RDONLY:
		wish = []int32{0, 2, 1}
	case unix.O_WRONLY:
		wish = []int32{1, 2, 0}
	default:
		wish = []int32{2, 1, 0}
	}
	for _, n := range wish {
		if slices.Contains(have, n) {
			return n
		}
	}
	return wish[0] // a controlling terminal
}

func (e external) open(s *Set, o *record.OpenFile) (int, error) {
	x := o.GetExternal()
	if x.Stdio > stderr {
		return -1, fmt.Errorf("standard descriptor %d does not exist", x.Stdio)
	}
	n := int(x.Stdio)
	if x.Tty && !s.uses.stdio[o.OpenId] {
		if t, ok := s.ownTerminal(n); ok {
			n = t
		} else if fd, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOCTTY|int(o.Flags)&unix.O_NONBLOCK, 0); err == nil {
			return fd, nil
		}
	}
	if n == 0 && s.opt.StdinIsImage {
		return s.insteadOfStdin(o)
	}
	return s.takeStdio(n, o)
}

// takeStdio gives a duplicate of this process's own descriptor n.
func (s *Set) takeStdio(n int, o *record.OpenFile) (int, error) {
	own := s.stdio[n]
	var st unix.Stat_t
	if err := unix.Fstat(own, &st); err != nil && !errors.Is(err, unix.EBADF) {
		return -1, fmt.Errorf("standard descriptor %d: %w", n, err)
	} else if err != nil {
		s.opt.warnf("%s: standard descriptor %d is closed here; the tree gets /dev/null", o.GetExternal().What, n)
		return unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	}
	have, err := unix.FcntlInt(uintptr(own), unix.F_GETFL, 0)
	if err != nil {
		return -1, fmt.Errorf("standard descriptor %d: %w", n, err)
	}
	format := st.Mode & unix.S_IFMT
	if o.Flags&unix.O_NONBLOCK != 0 && have&unix.O_NONBLOCK == 0 && (format == unix.S_IFIFO || format == unix.S_IFCHR) {
		// A description of the tree's own, so that the caller's does not become
		// non-blocking.
		if fd, err := reopen(own, have&unix.O_ACCMODE|unix.O_NONBLOCK); err == nil {
			return fd, nil
		}
	}
	fd, err := unix.FcntlInt(uintptr(own), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("standard descriptor %d: %w", n, err)
	}
	return fd, nil
}

// insteadOfStdin is for a tree that reads its caller's stdin, when the image
// comes on it: the terminal, or else nothing to read.
func (s *Set) insteadOfStdin(o *record.OpenFile) (int, error) {
	if o.GetExternal().Tty {
		fd, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOCTTY|int(o.Flags)&unix.O_NONBLOCK, 0)
		if err == nil {
			return fd, nil
		}
		s.opt.warnf("standard input is the image and there is no terminal: the tree reads /dev/null instead of %s", o.GetExternal().What)
	}
	if o.Flags&unix.O_ACCMODE == unix.O_RDONLY && s.uses.polled[o.OpenId] {
		return endedPipe() // /dev/null can't be polled
	}
	fd, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("/dev/null: %w", err)
	}
	return fd, nil
}

// endedPipe is a pipe that has nothing and nobody who writes.
func endedPipe() (int, error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return -1, fmt.Errorf("pipe: %w", err)
	}
	unix.Close(p[1])
	return p[0], nil
}

// ownTerminal is a standard descriptor that is a terminal, n before others.
func (s *Set) ownTerminal(n int) (int, bool) {
	for _, i := range []int{n, 0, 1, 2} {
		if i == 0 && s.opt.StdinIsImage {
			continue
		}
		if _, err := unix.IoctlGetTermios(s.stdio[i], unix.TCGETS); err == nil {
			return i, true
		}
	}
	return 0, false
}
