package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"floe/lib/image"
	"floe/lib/record"
)

// object is what an open file is of.
func object(im *image.Image, o *record.OpenFile) string {
	switch b := o.Object.(type) {
	case *record.OpenFile_Path_:
		return file(im, o, im.File(b.Path.FileId), b.Path.FileId)
	case *record.OpenFile_Pipe:
		return pipe(im, o, b.Pipe)
	case *record.OpenFile_Eventfd:
		text := fmt.Sprintf("eventfd, count %d", b.Eventfd.Count)
		if b.Eventfd.Semaphore {
			text += ", semaphore"
		}
		return text
	case *record.OpenFile_Epoll_:
		return epoll(b.Epoll)
	case *record.OpenFile_Timerfd:
		return timerfd(b.Timerfd)
	case *record.OpenFile_Signalfd:
		return "signalfd of " + signalSet(b.Signalfd.Mask)
	case *record.OpenFile_External_:
		return external(b.External)
	}
	return "something that this version does not know"
}

// file is a file with the position in it.
func file(im *image.Image, o *record.OpenFile, f *record.File, id uint64) string {
	name := fileName(im, id)
	kinds := map[uint32]string{unix.S_IFDIR: "directory", unix.S_IFCHR: "character device", unix.S_IFBLK: "block device", unix.S_IFIFO: "fifo", unix.S_IFSOCK: "socket", unix.S_IFLNK: "link"}
	if kind := kinds[f.GetMode()&unix.S_IFMT]; kind != "" {
		name += ", " + kind
		if f.Rdev != 0 {
			name += fmt.Sprintf(" %d:%d", unix.Major(f.Rdev), unix.Minor(f.Rdev))
		}
		if o.Pos == 0 {
			return name
		}
	}
	return fmt.Sprintf("%s, at %d of %d", name, o.Pos, f.GetSize())
}

// pipe is an end of a pipe, and what is in the pipe.
func pipe(im *image.Image, o *record.OpenFile, e *record.OpenFile_PipeEnd) string {
	text := fmt.Sprintf("pipe %d, %s end", e.PipeId, []string{"read", "write", "either", "no"}[o.Flags&unix.O_ACCMODE])
	p := im.Pipes[e.PipeId]
	if p == nil {
		return text + ", which is not there"
	}
	if p.FifoFile != 0 {
		text += " of fifo " + fileName(im, p.FifoFile)
	}
	if n := im.PipeBytes(e.PipeId); n > 0 {
		text += fmt.Sprintf(", %s of %s in it", human(uint64(n)), human(uint64(p.Capacity)))
	}
	if n := len(p.Packets); n > 0 {
		text += ", in " + count(n, "packet")
	} else if n := len(p.Buffers); n > 0 {
		text += ", in " + count(n, "buffer")
	}
	if e.HungUp {
		text += ", hung up"
	}
	return text
}

func epoll(e *record.OpenFile_Epoll) string {
	var fds []string
	for _, t := range e.Targets[:min(len(e.Targets), maxShown)] {
		fds = append(fds, strconv.Itoa(int(t.Fd)))
	}
	if len(e.Targets) > maxShown {
		fds = append(fds, "...")
	}
	return fmt.Sprintf("epoll of %s: %s", count(len(e.Targets), "descriptor"), strings.Join(fds, " "))
}

func timerfd(t *record.OpenFile_TimerFd) string {
	clocks := map[int32]string{unix.CLOCK_REALTIME: "realtime", unix.CLOCK_MONOTONIC: "monotonic", unix.CLOCK_BOOTTIME: "boottime", unix.CLOCK_REALTIME_ALARM: "realtime alarm", unix.CLOCK_BOOTTIME_ALARM: "boottime alarm"}
	clock := clocks[t.Clock]
	if clock == "" {
		clock = strconv.Itoa(int(t.Clock))
	}
	text := "timerfd, clock " + clock
	if t.ValueNs == 0 {
		text += ", not set"
	} else {
		text += fmt.Sprintf(", due in %s", time.Duration(t.ValueNs))
	}
	if t.IntervalNs != 0 {
		text += fmt.Sprintf(", every %s", time.Duration(t.IntervalNs))
	}
	if t.Ticks != 0 {
		text += fmt.Sprintf(", %s not read", count(t.Ticks, "tick"))
	}
	return text
}

// signalSet names the signals of a set.
func signalSet(mask uint64) string {
	var names []string
	for n := 1; n <= 64; n++ {
		if mask>>(n-1)&1 != 0 {
			names = append(names, signalName(n))
		}
	}
	if len(names) == 64 {
		return "all signals"
	}
	return strings.Join(names, " ")
}

// external is what the caller of restore gives.
func external(e *record.OpenFile_External) string {
	names := []string{"standard input", "standard output", "standard error"}
	name := "descriptor " + strconv.Itoa(int(e.Stdio))
	if int(e.Stdio) < len(names) {
		name = names[e.Stdio]
	}
	text := fmt.Sprintf("%s of restore; it was %s", name, e.What)
	if e.Tty {
		text += ", a terminal"
	}
	return text
}
