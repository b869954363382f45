package fds

import "floe/lib/record"

// kind is one sort of object that a descriptor may refer to.
type kind interface {
	// takes tells whether d is of this kind.
	takes(d *desc) bool
	// describe fills d.rec.Object, and adds the records that it refers to. A
	// *Refusal means that d can't be saved.
	describe(c *collector, d *desc) error

	// opens tells whether o is of this kind.
	opens(o *record.OpenFile, s *Set) bool
	// open makes the description in this process, close-on-exec.
	open(s *Set, o *record.OpenFile) (int, error)
	// finish does what needs the other descriptions to be open.
	finish(s *Set, o *record.OpenFile, fd int) error
}

// kinds is every kind, in the order in which descriptors are described: epolls
// come after what they watch. The first that takes a descriptor has it.
var kinds = []kind{
	pathKind{}, charDevice{}, terminal{}, pipeKind{}, socketKind{},
	eventFD{}, timerFD{}, signalFD{}, epollKind{}, unsupported{}, external{},
}

func kindOf(d *desc) kind {
	for _, k := range kinds {
		if k.takes(d) {
			return k
		}
	}
	return unsupported{}
}

// collectOnly is embedded by kinds that restore never sees.
type collectOnly struct{}

func (collectOnly) opens(*record.OpenFile, *Set) bool        { return false }
func (collectOnly) open(*Set, *record.OpenFile) (int, error) { return -1, nil }
func (collectOnly) finish(*Set, *record.OpenFile, int) error { return nil }
