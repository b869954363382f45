package fds

import (
	"encoding/binary"
	"fmt"
	"math"

	"golang.org/x/sys/unix"

	"floe/lib/image"
	"floe/lib/record"
)

// eventFD is the kind of eventfd(2). fdinfo tells the count without taking it.
type eventFD struct{ flagged }

func (eventFD) takes(d *desc) bool { return anonName(d.link) == "eventfd" }

func (eventFD) fields() []string {
	return []string{"eventfd-count", "eventfd-semaphore", "eventfd-id"} // the id is the kernel's
}

func (eventFD) save(_ *collector, d *desc) error {
	count, err := d.info.uint("eventfd-count", 16, 64)
	if err != nil {
		return err
	}
	// Kernels before 6.5 don't show it, and no other way asks without taking: the
	// README says so.
	semaphore := d.info.get("eventfd-semaphore") == "1"
	d.rec.Object = &record.OpenFile_Eventfd{Eventfd: &record.OpenFile_EventFd{Count: count, Semaphore: semaphore}}
	return nil
}

func (eventFD) opens(_ *image.Image, o *record.OpenFile) bool { return o.GetEventfd() != nil }

func (eventFD) open(_ *Set, o *record.OpenFile) (int, error) {
	e := o.GetEventfd()
	flags := unix.EFD_CLOEXEC | unix.EFD_NONBLOCK
	if e.Semaphore {
		flags |= unix.EFD_SEMAPHORE
	}
	fd, err := unix.Eventfd(0, flags)
	if err != nil {
		return -1, fmt.Errorf("eventfd: %w", err)
	}
	if e.Count > 0 {
		// 2^64-1 is an overflow that only the kernel can make.
		b := binary.NativeEndian.AppendUint64(nil, min(e.Count, math.MaxUint64-1))
		if _, err := unix.Write(fd, b); err != nil {
			unix.Close(fd)
			return -1, fmt.Errorf("eventfd: write of its count: %w", err)
		}
	}
	return fd, nil
}

func (eventFD) show(_ *image.Image, o *record.OpenFile) string {
	text := fmt.Sprintf("eventfd, count %d", o.GetEventfd().Count)
	if o.GetEventfd().Semaphore {
		text += ", semaphore"
	}
	return text
}
