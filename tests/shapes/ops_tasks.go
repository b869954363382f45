package shapes

import "golang.org/x/sys/unix"

var cloneFlags = words(
	"vm", unix.CLONE_VM, "fs", unix.CLONE_FS, "files", unix.CLONE_FILES, "sighand", unix.CLONE_SIGHAND,
	"vfork", unix.CLONE_VFORK, "parent", unix.CLONE_PARENT, "thread", unix.CLONE_THREAD, "sysvsem", unix.CLONE_SYSVSEM,
	"io", unix.CLONE_IO, "untraced", unix.CLONE_UNTRACED, "cleartid", unix.CLONE_CHILD_CLEARTID,
	"settid", unix.CLONE_CHILD_SETTID, "clearsighand", unix.CLONE_CLEAR_SIGHAND)

var shareFlags = words("fs", unix.CLONE_FS, "files", unix.CLONE_FILES, "sysvsem", unix.CLONE_SYSVSEM)

var blockKinds = words("pause", 0, "read", 1, "poll", 2, "epoll", 3, "futex", 4, "sigwait", 5, "sigsuspend", 6,
	"wait", 7, "flock", 8, "lock", 9, "sleep", 10, "write", 11, "ppoll", 12)

var onOff = words("off", 0, "on", 1)

var taskOps = []op{
	{name: "fork", group: "tasks", weight: 30, adjust: adjustFork,
		args: []arg{slot("slot"), flags("flags", cloneFlags), number("signal", 0, 64)}},
	{name: "exit", group: "ends", weight: 8, args: []arg{number("status", 0, 255)}, adjust: adjustEnd, settles: true},
	{name: "exit_thread", group: "threads", weight: 2, args: []arg{number("status", 0, 255)}, adjust: adjustExitThread, settles: true},
	{name: "exec", group: "exec", weight: 2, adjust: adjustExec, settles: true},
	{name: "wait", group: "ends", weight: 3, args: []arg{slot("child")}, adjust: adjustSlot(0, isChild)},
	{name: "setsid", group: "sessions", weight: 12},
	{name: "setpgid", group: "sessions", weight: 16, args: []arg{slot("who"), slot("group")}, adjust: adjustSetpgid},
	{name: "subreaper", group: "sessions", weight: 5, args: []arg{choice("how", onOff)}},
	{name: "pdeathsig", group: "ends", weight: 2, args: []arg{sig("signal")}},
	{name: "unshare", group: "threads", weight: 2, args: []arg{flags("what", shareFlags)}, adjust: adjustUnshare},
	{name: "block", group: "block", weight: 6, adjust: adjustBlock,
		args: []arg{choice("in", blockKinds), fd("fd"), number("set", 0, 1<<62)}},
	// Of all stops the last is told again: they come after the first report.
	{name: "kill", group: "kill", weight: 6, args: []arg{slot("to"), sig("signal")}, adjust: adjustSignal, settles: true},
	{name: "killpg", group: "kill", weight: 1, args: []arg{slot("group"), sig("signal")}, adjust: adjustSignal, settles: true},
	{name: "tkill", group: "kill", weight: 4, args: []arg{slot("to"), sig("signal")}, adjust: adjustSignal, settles: true},
	{name: "queue", group: "kill", weight: 6, args: []arg{slot("to"), sig("signal"), number("value", 0, 1<<40)}, adjust: adjustSignal, settles: true},
	{name: "tqueue", group: "kill", weight: 6, args: []arg{slot("to"), sig("signal"), number("value", 0, 1<<40)}, adjust: adjustSignal, settles: true},
}

var prioritySets = words("none", 0, "realtime", 1, "best-effort", 2, "idle", 3)
var policies = words("other", 0, "fifo", 1, "rr", 2, "batch", 3, "idle", 5,
	"other-reset", 0x40000000, "fifo-reset", 0x40000001, "rr-reset", 0x40000002, "batch-reset", 0x40000003, "idle-reset", 0x40000005)

// linux/personality.h: address-space layout, and the old ways of a few calls.
var personalities = words("old-timers", 0x4000000, "no-random", 0x40000, "short-inode", 0x1000000,
	"whole-seconds", 0x2000000, "compat-layout", 0x200000, "limit-3gb", 0x8000000, "uname26", 0x20000,
	"read-implies-exec", 0x400000)

// Not nofile below the descriptors, nor sigpending: queues that are used up.
var limits = words("cpu", unix.RLIMIT_CPU, "fsize", unix.RLIMIT_FSIZE, "data", unix.RLIMIT_DATA, "stack", unix.RLIMIT_STACK,
	"core", unix.RLIMIT_CORE, "rss", unix.RLIMIT_RSS, "nproc", unix.RLIMIT_NPROC, "nofile", unix.RLIMIT_NOFILE,
	"memlock", unix.RLIMIT_MEMLOCK, "as", unix.RLIMIT_AS, "locks", unix.RLIMIT_LOCKS, "msgqueue", unix.RLIMIT_MSGQUEUE,
	"nice", unix.RLIMIT_NICE, "rtprio", unix.RLIMIT_RTPRIO, "rttime", unix.RLIMIT_RTTIME)

var attributeOps = []op{
	{name: "comm", group: "attributes", weight: 6, args: []arg{number("number", 0, 1<<20), number("odd", 0, 1)}},
	{name: "timerslack", group: "attributes", weight: 3, args: []arg{number("ns", 1, 1<<40)}},
	{name: "thp_disable", group: "attributes", weight: 2, args: []arg{choice("how", onOff)}},
	{name: "tsc", group: "attributes", weight: 1, args: []arg{choice("how", words("enable", 1, "sigsegv", 2))}},
	{name: "fsbase", group: "attributes", weight: 2, args: []arg{number("address", 0, 1<<46)}},
	{name: "gsbase", group: "attributes", weight: 2, args: []arg{number("address", 0, 1<<46)}},
	{name: "tid_address", group: "attributes", weight: 2, args: []arg{page(), number("word", 0, 1023)}},
	{name: "robust_list", group: "attributes", weight: 2, args: []arg{page()}},
	{name: "personality", group: "attributes", weight: 2, args: []arg{flags("what", personalities)}},
	{name: "mdwe", group: "attributes", weight: 1, args: []arg{choice("how", words("refuse", 1, "no-inherit", 3))}},
	{name: "merge", group: "attributes", weight: 1, args: []arg{choice("how", onOff)}},
	{name: "mce", group: "attributes", weight: 2, args: []arg{choice("how", words("late", 0, "early", 1, "default", 2))}},
	{name: "barrier", group: "attributes", weight: 2, args: []arg{choice("which", words("global", 4, "private", 16, "core", 64, "rseq", 256))}},
	{name: "mempolicy", group: "attributes", weight: 2, args: []arg{choice("mode", words("default", 0, "preferred", 1, "bind", 2, "interleave", 3, "bind-static", 1<<15|2))}},
	{name: "dump_filter", group: "attributes", weight: 2, args: []arg{number("bits", 0, 255)}},
	{name: "nice", group: "scheduling", weight: 6, args: []arg{number("to", -20, 19)}},
	{name: "policy", group: "scheduling", weight: 6, args: []arg{choice("to", policies), number("priority", 1, 99)}},
	{name: "affinity", group: "scheduling", weight: 4, args: []arg{number("mask", 1, 3)}},
	{name: "ioprio", group: "scheduling", weight: 4, args: []arg{choice("class", prioritySets), number("level", 0, 7)}},
	{name: "limit", group: "limits", weight: 10, adjust: adjustLimit,
		args: []arg{choice("which", limits), number("soft", 0, 1<<62), number("hard", 0, 1<<62)}},
	{name: "oom", group: "attributes", weight: 3, args: []arg{number("to", -999, 999)}},
}

var dumpable = words("no", 0, "yes", 1)
var securebits = words("noroot", 1, "noroot-locked", 2, "nofixup", 4, "nofixup-locked", 8,
	"keepcaps", 16, "keepcaps-locked", 32, "noambient", 64, "noambient-locked", 128)

var credentialOps = []op{
	{name: "uids", group: "credentials", weight: 6, adjust: adjustIDs,
		args: []arg{number("real", 0, 60000), number("effective", 0, 60000), number("saved", 0, 60000)}},
	{name: "gids", group: "credentials", weight: 6, adjust: adjustIDs,
		args: []arg{number("real", 0, 60000), number("effective", 0, 60000), number("saved", 0, 60000)}},
	{name: "fsuid", group: "credentials", weight: 3, args: []arg{number("to", 0, 60000)}},
	{name: "fsgid", group: "credentials", weight: 3, args: []arg{number("to", 0, 60000)}},
	{name: "groups", group: "credentials", weight: 4, args: []arg{number("count", 0, 64), number("first", 0, 60000), number("step", 0, 1000)}},
	{name: "caps", group: "credentials", weight: 5,
		args: []arg{number("permitted", 0, 1<<41-1), number("effective", 0, 1<<41-1), number("inheritable", 0, 1<<41-1)}},
	{name: "ambient", group: "credentials", weight: 4, args: []arg{number("capability", 0, 40)}},
	{name: "bound", group: "credentials", weight: 4, args: []arg{number("capability", 0, 40)}},
	{name: "securebits", group: "credentials", weight: 4, args: []arg{flags("bits", securebits)}},
	{name: "keepcaps", group: "credentials", weight: 3, args: []arg{choice("how", onOff)}},
	{name: "no_new_privs", group: "credentials", weight: 2},
	{name: "dumpable", group: "credentials", weight: 3, args: []arg{choice("how", dumpable)}},
	{name: "umask", group: "files", weight: 2, args: []arg{number("mask", 0, 0o777)}},
	{name: "chdir", group: "files", weight: 4, args: []arg{number("folder", 0, folders-1)}},
	{name: "chroot", group: "root", weight: 2, args: []arg{number("folder", 0, folders-1)}},
}
