package fds

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"floe/lib/image"
	"floe/lib/record"
)

// kind is one sort of object that a descriptor may refer to. Each has a file of
// this package for both of its halves, and a line in kinds; nothing else knows
// it by name. What only some kinds do is an interface of its own, below.
type kind interface {
	// takes tells whether d is of this kind.
	takes(d *desc) bool
	// save fills d.rec.Object, and adds the records that it refers to. A *Refusal
	// means that d can't be saved.
	save(c *collector, d *desc) error
}

// kinds is every kind, in the order in which descriptors are saved: epolls come
// after what they watch. The first that takes a descriptor has it.
var kinds = []kind{
	pathKind{}, charDevice{}, terminal{}, pipeKind{}, socketKind{},
	eventFD{}, timerFD{}, signalFD{}, pidFD{}, epollKind{}, unsupported{},
}

// opener is a kind that restore makes. A kind without it is refused, or is the
// caller's.
type opener interface {
	// opens tells whether o is of this kind.
	opens(im *image.Image, o *record.OpenFile) bool
	// open makes the description in this process, close-on-exec.
	open(s *Set, o *record.OpenFile) (int, error)
	// show says what it is, for people: "eventfd, count 3".
	show(im *image.Image, o *record.OpenFile) string
}

// informed is a kind with fields of its own in /proc/PID/fdinfo. What a newer kernel
// adds is refused until somebody has looked what it means.
type informed interface {
	fields() []string
}

// finisher is a kind that needs the other descriptions to be open: finish is
// called for each of its own when all are.
type finisher interface {
	finish(s *Set, o *record.OpenFile, fd int) error
}

// completer is a kind that has something left to do when all are finished.
type completer interface {
	complete(s *Set) error
}

// checker is a kind whose records may be wrong, or be such as no restore could
// bring back.
type checker interface {
	check(s *Set, o *record.OpenFile) error
}

// privileged is a kind that not every restore may make: it needs a capability,
// for what why says. 0: none.
type privileged interface {
	needs(o *record.OpenFile) (capability int, why string)
}

// flagged is embedded by kinds whose flags are set when all is open.
type flagged struct{}

func (flagged) finish(_ *Set, o *record.OpenFile, fd int) error { return setStatus(fd, o.Flags) }

func kindOf(d *desc) kind {
	if d.info.flags&unix.O_PATH != 0 && isAnon(d.link) {
		return unsupported{}
	}
	for _, k := range kinds {
		if k.takes(d) {
			return k
		}
	}
	return unsupported{}
}

// known makes sure that fdinfo has nothing that d's kind doesn't know.
func (d *desc) known() error {
	if d.rec.GetExternal() != nil {
		return nil
	}
	fields := []string{"lock"}
	if k, ok := d.kind.(informed); ok {
		fields = append(fields, k.fields()...)
	}
	for _, l := range d.info.rest {
		if !slices.Contains(fields, l.key) {
			return d.refuse("use a newer floe, or close it", "%s, of which this kernel says something that this version does not know (%q in fdinfo),", d.link, l.key)
		}
	}
	return nil
}

// openerOf finds the kind of a record.
func openerOf(im *image.Image, o *record.OpenFile) (opener, error) {
	for _, k := range kinds {
		if k, ok := k.(opener); ok && k.opens(im, o) {
			return k, nil
		}
	}
	return nil, fmt.Errorf("it is of a kind that this version does not know; use a newer floe: %w", record.ErrUnknown)
}

// Show says what an open file is, for people.
func Show(im *image.Image, o *record.OpenFile) string {
	k, err := openerOf(im, o)
	if err != nil {
		return "something that this version does not know"
	}
	return k.show(im, o)
}

// Needs lists the capabilities that opening the files of an image takes, and
// what for.
func Needs(im *image.Image) map[int]string {
	list := map[int]string{}
	for _, id := range im.OpenOrder {
		o := im.OpenFile(id)
		if k, err := openerOf(im, o); err == nil {
			if p, ok := k.(privileged); ok {
				if c, why := p.needs(o); why != "" {
					list[c] = why
				}
			}
		}
	}
	return list
}
