package fds

import (
	"fmt"
	"iter"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"floe/lib/image"
	"floe/lib/record"
	"floe/lib/stub"
)

// OpenOptions are restore's.
type OpenOptions struct {
	// Clocks is Header.clocks by this boot's clocks, where the tree's go on. Nil:
	// what is left of an absolute timer is counted from Header.clocks on the same
	// boot, and from now on another.
	Clocks     *record.Clocks
	ForceFiles bool // open files that have changed since the checkpoint
	// StdinIsImage: descriptor 0 can't be given to the tree.
	StdinIsImage bool
	// Stdio are the descriptors to give for the caller's; nil: 0, 1 and 2.
	Stdio *[3]int
	Warnf func(format string, args ...any) // may be nil
}

func (o *OpenOptions) warnf(format string, args ...any) {
	if o.Warnf != nil {
		o.Warnf(format, args...)
	}
}

// Set is every open file description of an image, open in this process.
type Set struct {
	im       *image.Image
	opt      OpenOptions
	stdio    [3]int
	sameBoot bool
	fds      map[uint64]int // by open_id
	pipes    map[uint64]*madePipe
	epolls   []*record.OpenFile
	kept     map[any]any            // what kinds keep while they open
	undo     []func()               // what is to be done when it comes to nothing
	nested   map[uint64]bool        // epolls whose nesting has been checked, by open_id
	calls    map[uint64][]stub.Call // that tasks must do, by files_id
	uses     uses
}

// Open makes every open file description of an image in this process.
func Open(im *image.Image, opt OpenOptions) (*Set, error) {
	s := newSet(im, opt)
	if err := s.openAll(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func newSet(im *image.Image, opt OpenOptions) *Set {
	s := &Set{im: im, opt: opt, stdio: [3]int{0, 1, 2}, sameBoot: sameBoot(im), fds: map[uint64]int{}, pipes: map[uint64]*madePipe{},
		kept: map[any]any{}, nested: map[uint64]bool{}, calls: map[uint64][]stub.Call{}, uses: usesOf(im)}
	if opt.Stdio != nil {
		s.stdio = *opt.Stdio
	}
	return s
}

func (s *Set) openAll() error {
	defer s.closePipes()
	for _, id := range s.im.OpenOrder {
		o := s.im.OpenFile(id)
		k, err := openerOf(s.im, o)
		if err == nil {
			s.fds[id], err = k.open(s, o)
		}
		if err != nil {
			delete(s.fds, id)
			return s.about(id, err)
		}
	}
	s.closePipes()
	for _, id := range s.im.OpenOrder {
		o := s.im.OpenFile(id)
		k, err := openerOf(s.im, o)
		if f, ok := k.(finisher); ok && err == nil {
			err = f.finish(s, o, s.fds[id])
		}
		if err == nil {
			err = setWriteHint(s.fds[id], o)
		}
		if err != nil {
			return s.about(id, err)
		}
	}
	for _, k := range kinds {
		if c, ok := k.(completer); ok {
			if err := c.complete(s); err != nil {
				return err
			}
		}
	}
	return s.takeLocks()
}

// Calls has what a task with a descriptor table must do itself, once it has the
// descriptors.
func (s *Set) Calls(filesID uint64) iter.Seq[stub.Call] { return slices.Values(s.calls[filesID]) }

// number is a descriptor in the words of an error.
type number int32

func (n number) String() string { return strconv.Itoa(int(n)) }

// closePipes lets go of the pipes but for the ends that the tree has.
func (s *Set) closePipes() {
	for _, m := range s.pipes {
		m.close()
	}
	s.pipes = map[uint64]*madePipe{}
}

// FD is this process's descriptor of an open file description.
func (s *Set) FD(openID uint64) (int, bool) {
	fd, ok := s.fds[openID]
	return fd, ok
}

// Close closes this process's descriptors.
func (s *Set) Close() {
	for _, undo := range s.undo {
		undo()
	}
	s.undo = nil
	for id, fd := range s.fds {
		unix.Close(fd)
		delete(s.fds, id)
	}
}

// file is a file of the image.
func (s *Set) file(id uint64) (*record.File, error) {
	if f := s.im.File(id); f != nil {
		return f, nil
	}
	return nil, fmt.Errorf("file %d is not in the image", id)
}

// formatOf is the file type of what o opens by name; 0 when it is unknown.
func formatOf(im *image.Image, o *record.OpenFile) uint32 {
	return im.File(o.GetPath().GetFileId()).GetMode() & unix.S_IFMT
}

// about says in an error whose descriptor it is about.
func (s *Set) about(openID uint64, err error) error { return about(s.im, openID, err) }

func about(im *image.Image, openID uint64, err error) error {
	if err == nil {
		return nil
	}
	for _, t := range im.Tasks {
		for _, f := range im.Fds[t.FilesId] {
			if f.OpenId == openID && t.State != record.Task_ZOMBIE {
				return fmt.Errorf("task %d (%s): fd %d: %w", t.Pid, t.Comm, f.Fd, err)
			}
		}
	}
	return fmt.Errorf("open file %d: %w", openID, err)
}

// uses is what the whole image says of descriptions and pipes, for those that
// ask about one of them.
type uses struct {
	polled  map[uint64]bool // by open_id: an epoll watches it
	stdio   map[uint64]bool // by open_id: it is at descriptor 0, 1 or 2 of a task
	written map[uint64]bool // by pipe_id: an end of it writes
	slots   map[place]int32 // the lowest number of a description in a table
	epolls  map[uint64]bool // by open_id
	signals map[uint64]bool // signalfds, by open_id
}

// place is a description in a descriptor table.
type place struct{ filesID, openID uint64 }

func usesOf(im *image.Image) uses {
	u := uses{polled: map[uint64]bool{}, stdio: map[uint64]bool{}, written: map[uint64]bool{}, slots: map[place]int32{}, epolls: map[uint64]bool{}, signals: map[uint64]bool{}}
	for _, id := range im.OpenOrder {
		o := im.OpenFile(id)
		for _, t := range o.GetEpoll().GetTargets() {
			u.polled[t.OpenId] = true
		}
		if o.GetEpoll() != nil {
			u.epolls[id] = true
		}
		if o.GetSignalfd() != nil {
			u.signals[id] = true
		}
		if o.GetPipe() != nil && o.Flags&unix.O_ACCMODE != unix.O_RDONLY {
			u.written[o.GetPipe().PipeId] = true
		}
	}
	for id, list := range im.Fds {
		for _, f := range list {
			if f.Fd <= stderr {
				u.stdio[f.OpenId] = true
			}
			at := place{id, f.OpenId}
			if _, ok := u.slots[at]; len(u.epolls) > 0 && !ok {
				u.slots[at] = f.Fd
			}
		}
	}
	return u
}
