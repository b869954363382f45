package fds

import (
	"fmt"

	"floe/lib/image"
	"floe/lib/record"
)

// Check checks what the records say of open files, each by its kind, and what
// Open can refuse for what is in them.
func Check(im *image.Image) error {
	s := newSet(im, OpenOptions{})
	for _, id := range im.OpenOrder {
		if err := s.check(im.OpenFile(id)); err != nil {
			return s.about(id, err)
		}
	}
	for id, p := range im.Pipes {
		if err := checkBuffers(p, im.PipeBytes(id)); err != nil {
			return fmt.Errorf("pipe %d: %w", id, err)
		}
	}
	return nil
}

func (s *Set) check(o *record.OpenFile) error {
	if o.AsyncFd < 0 || o.AsyncFd >= maxFd {
		return fmt.Errorf("signals that tell descriptor %d", o.AsyncFd)
	}
	k, err := openerOf(s.im, o)
	if c, ok := k.(checker); ok && err == nil {
		err = c.check(s, o)
	}
	return err
}
