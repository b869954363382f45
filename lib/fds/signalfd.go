package fds

import (
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/record"
)

// signalFD is the kind of signalfd(2). Whose signals it reads depends on who
// reads: nothing else is in it but its mask.
type signalFD struct{}

func (signalFD) takes(d *desc) bool { return anonName(d.link) == "signalfd" }

func (signalFD) describe(_ *collector, d *desc) error {
	mask, err := d.info.uint("sigmask", 16, 64)
	if err != nil {
		return err
	}
	d.rec.Object = &record.OpenFile_Signalfd{Signalfd: &record.OpenFile_SignalFd{Mask: mask}}
	return nil
}

func (signalFD) opens(o *record.OpenFile, _ *Set) bool { return o.GetSignalfd() != nil }

func (signalFD) open(_ *Set, o *record.OpenFile) (int, error) {
	var set unix.Sigset_t
	set.Val[0] = o.GetSignalfd().Mask
	fd, err := unix.Signalfd(-1, &set, unix.SFD_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("signalfd: %w", err)
	}
	return fd, nil
}

func (signalFD) finish(_ *Set, o *record.OpenFile, fd int) error { return setStatus(fd, o.Flags) }
