package shapes

import "golang.org/x/sys/unix"

var openModes = words("wronly", unix.O_WRONLY, "rdwr", unix.O_RDWR, "append", unix.O_APPEND, "cloexec", unix.O_CLOEXEC, "nonblock", unix.O_NONBLOCK,
	"sync", unix.O_SYNC, "dsync", unix.O_DSYNC, "direct", unix.O_DIRECT, "noatime", unix.O_NOATIME, "path", unix.O_PATH, "nofollow", unix.O_NOFOLLOW, "async", unix.O_ASYNC,
	"largefile", 0o100000, "noctty", unix.O_NOCTTY)
var folderModes = words("nofollow", unix.O_NOFOLLOW, "cloexec", unix.O_CLOEXEC, "path", unix.O_PATH, "noatime", unix.O_NOATIME)
var deviceModes = words("nofollow", unix.O_NOFOLLOW, "wronly", unix.O_WRONLY, "rdwr", unix.O_RDWR, "cloexec", unix.O_CLOEXEC, "nonblock", unix.O_NONBLOCK, "append", unix.O_APPEND)
var pipeModes = words("cloexec", unix.O_CLOEXEC, "nonblock", unix.O_NONBLOCK, "packets", unix.O_DIRECT)
var objectModes = words("cloexec", unix.O_CLOEXEC, "nonblock", unix.O_NONBLOCK)
var eventModes = words("cloexec", unix.O_CLOEXEC, "nonblock", unix.O_NONBLOCK, "semaphore", 1)
var closeOnExec = words("cloexec", unix.O_CLOEXEC)
var settable = words("append", unix.O_APPEND, "nonblock", unix.O_NONBLOCK, "noatime", unix.O_NOATIME)
var devices = words("null", 0, "zero", 1, "full", 2, "urandom", 3)
var whence = words("set", 0, "current", 1, "end", 2, "data", 3, "hole", 4)

var fileOps = []op{
	{name: "open", group: "files", weight: 14, args: []arg{fd("fd"), number("file", 0, files-1), flags("mode", openModes)}, adjust: adjustNew(aFile)},
	{name: "open_folder", group: "files", weight: 4, args: []arg{fd("fd"), number("folder", 0, folders-1), flags("mode", folderModes)}, adjust: adjustNew(aFolder)},
	{name: "open_device", group: "files", weight: 4, args: []arg{fd("fd"), choice("device", devices), flags("mode", deviceModes)}, adjust: adjustNew(aDevice)},
	{name: "open_fifo", group: "pipes", weight: 8, args: []arg{fd("fd"), number("fifo", 0, fifos-1), flags("mode", deviceModes)}, adjust: adjustFifo},
	{name: "close", group: "files", weight: 6, args: []arg{fd("fd")}, adjust: adjustClose},
	{name: "dup", group: "files", weight: 8, args: []arg{fd("fd"), fd("to"), flags("mode", closeOnExec)}, adjust: adjustDup},
	{name: "setfl", group: "files", weight: 6, args: []arg{fd("fd"), flags("flags", settable)}, adjust: adjustOn(anything)},
	{name: "setfd", group: "files", weight: 2, args: []arg{fd("fd"), choice("cloexec", onOff)}, adjust: adjustOn(anything)},
	{name: "seek", group: "files", weight: 6, args: []arg{fd("fd"), number("to", 0, 1<<20), choice("from", whence)}, adjust: adjustOn(aFile)},
	{name: "truncate", group: "files", weight: 3, args: []arg{fd("fd"), number("size", 0, 1<<16)}, adjust: adjustOn(aFile)},
	{name: "put", group: "pipes", weight: 14, args: []arg{fd("fd"), number("bytes", 1, 8192), number("times", 1, 20)}, adjust: adjustPut},
	{name: "get", group: "pipes", weight: 5, args: []arg{fd("fd"), number("bytes", 1, 8192)}, adjust: adjustGet},
	{name: "flock", group: "locks", weight: 6, args: []arg{fd("fd"), choice("how", words("shared", 1, "exclusive", 2, "unlock", 8))}, adjust: adjustOn(aFile)},
	{name: "record_lock", group: "locks", weight: 8, args: lockArgs, adjust: adjustOn(aFile)},
	{name: "file_lock", group: "locks", weight: 8, args: lockArgs, adjust: adjustOn(aFile)},
}

var lockArgs = []arg{fd("fd"), choice("how", words("read", 0, "write", 1, "unlock", 2)), number("start", 0, 300), number("bytes", 0, 300)}

var descriptorClocks = words("realtime", unix.CLOCK_REALTIME, "monotonic", unix.CLOCK_MONOTONIC, "boottime", unix.CLOCK_BOOTTIME,
	"realtime-alarm", unix.CLOCK_REALTIME_ALARM, "boottime-alarm", unix.CLOCK_BOOTTIME_ALARM)
var descriptorTimes = words("cancel-on-set", 2)
var epollHow = words("add", 1, "delete", 2, "change", 3)
var epollEvents = words("in", unix.EPOLLIN, "out", unix.EPOLLOUT, "rdhup", unix.EPOLLRDHUP, "pri", unix.EPOLLPRI, "err", unix.EPOLLERR,
	"oneshot", unix.EPOLLONESHOT, "edge", 1<<31, "wakeup", unix.EPOLLWAKEUP, "exclusive", unix.EPOLLEXCLUSIVE)
var unsavable = words("unix", 0, "inet", 1, "inotify", 2, "memfd", 3, "deleted", 5, "userfaultfd", 6, "tmpfile", 7)

var objectOps = []op{
	{name: "pipe", group: "pipes", weight: 12, args: []arg{fd("read"), fd("write"), flags("mode", pipeModes)}, adjust: adjustPipe},
	{name: "pipe_size", group: "pipes", weight: 4, args: []arg{fd("fd"), number("bytes", 1, 1<<20)}, adjust: adjustOn(aPipe)},
	{name: "eventfd", group: "events", weight: 6, args: []arg{fd("fd"), number("count", 0, 1<<31), flags("mode", eventModes)}, adjust: adjustNew(anEvent)},
	{name: "count", group: "events", weight: 3, args: []arg{fd("fd"), number("by", 0, 1<<40)}, adjust: adjustOn(anEvent)},
	{name: "timerfd", group: "events", weight: 6, args: []arg{fd("fd"), choice("clock", descriptorClocks), flags("mode", objectModes)}, adjust: adjustNew(aTimer)},
	{name: "timerfd_set", group: "events", weight: 6, adjust: adjustOn(aTimer),
		args: []arg{fd("fd"), number("seconds", 100000, 1000000), number("interval", 0, 100000), number("ns", 0, 999999999), flags("flags", descriptorTimes)}},
	{name: "signalfd", group: "events", weight: 6, args: []arg{fd("fd"), number("set", 0, 1<<62), flags("mode", objectModes)}, adjust: adjustNew(aSignal)},
	{name: "epoll", group: "epoll", weight: 10, args: []arg{fd("fd"), flags("mode", closeOnExec)}, adjust: adjustNew(anEpoll)},
	{name: "watch", group: "epoll", weight: 20, adjust: adjustWatch,
		args: []arg{fd("epoll"), fd("fd"), choice("how", epollHow), flags("events", epollEvents), number("data", 0, 1<<62)}},
	{name: "owner", group: "events", weight: 6, adjust: adjustOn(aFile, aPipe, anEvent, aTimer, aSignal, anEpoll),
		args: []arg{fd("fd"), choice("kind", words("thread", 0, "process", 1)), number("signal", 0, 64)}},
	{name: "pidfd", group: "events", weight: 6, adjust: adjustNew(aPidfd),
		args: []arg{fd("fd"), number("task", 0, 9), flags("mode", words("cloexec", unix.O_CLOEXEC, "nonblock", unix.O_NONBLOCK, "thread", unix.O_EXCL))}},
	{name: "refused", group: "refused", weight: 1, args: []arg{fd("fd"), choice("kind", unsavable)}, adjust: adjustNew(anything)},
}
