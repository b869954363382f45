package fds

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"floe/lib/image"
	"floe/lib/record"
)

// signalFD is the kind of signalfd(2). Whose signals it reads depends on who
// reads: nothing else is in it but its mask.
type signalFD struct{ flagged }

func (signalFD) takes(d *desc) bool { return anonName(d.link) == "signalfd" }

func (signalFD) fields() []string { return []string{"sigmask"} }

func (signalFD) save(_ *collector, d *desc) error {
	mask, err := d.info.uint("sigmask", 16, 64)
	if err != nil {
		return err
	}
	d.rec.Object = &record.OpenFile_Signalfd{Signalfd: &record.OpenFile_SignalFd{Mask: mask}}
	return nil
}

func (signalFD) opens(_ *image.Image, o *record.OpenFile) bool { return o.GetSignalfd() != nil }

func (signalFD) open(_ *Set, o *record.OpenFile) (int, error) {
	var set unix.Sigset_t
	set.Val[0] = o.GetSignalfd().Mask
	fd, err := unix.Signalfd(-1, &set, unix.SFD_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("signalfd: %w", err)
	}
	return fd, nil
}

func (signalFD) show(_ *image.Image, o *record.OpenFile) string {
	return "signalfd of " + signalSet(o.GetSignalfd().Mask)
}

// signalSet names the signals of a set.
func signalSet(mask uint64) string {
	var names []string
	for n := 1; n <= 64; n++ {
		if mask>>(n-1)&1 == 0 {
			continue
		}
		name := unix.SignalName(unix.Signal(n))
		if name == "" {
			name = "signal " + strconv.Itoa(n)
		}
		names = append(names, name)
	}
	if len(names) == 64 {
		return "all signals"
	}
	return strings.Join(names, " ")
}
