package fds

import (
	"fmt"

	"floe/lib/image"
	"floe/lib/record"
)

// Check checks what Open can refuse for what is in the records. References have
// been checked.
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
	k, err := s.kindOf(o)
	if err != nil {
		return err
	}
	if p := o.GetPath(); p != nil {
		f := s.im.File(p.FileId)
		if _, ok := k.(pathKind); ok {
			return checkPath(f, o)
		}
		return checkNotTemporary(f, o)
	}
	for _, t := range o.GetEpoll().GetTargets() {
		if s.im.OpenFile(t.OpenId).GetSignalfd() == nil {
			continue
		}
		if _, ok := s.uses.slots[place{t.FilesId, o.OpenId}]; !ok {
			return errNoEpoll(t)
		}
	}
	return nil
}
