package shapes

// What is not compared, or not as it is, and why. All else in the report and in
// the files of /proc that picture.go reads must be the same.

// statFields are the fields of /proc/PID/stat that are compared, by the numbers
// of proc_pid_stat(5). The others are CPU times, faults, the start time, where a
// task runs, flags that say what the kernel did with it lately, and resident
// memory, which a restore pages in anew.
var statFields = map[int]string{
	2: "comm", 3: "state", 4: "ppid", 5: "pgrp", 6: "session", 7: "tty", 8: "tpgid", 18: "priority", 19: "nice",
	20: "threads", 23: "vsize", 25: "rsslim", 26: "startcode", 27: "endcode", 28: "startstack", 31: "signal",
	32: "blocked", 33: "sigignore", 34: "sigcatch", 35: "wchan", 38: "exit signal", 40: "rt priority", 41: "policy",
	45: "start data", 46: "end data", 47: "start brk", 48: "arg start", 49: "arg end", 50: "env start", 51: "env end",
	52: "exit code",
}

// zombieFields are those of a zombie: nobody can ask it for the others.
var zombieFields = map[int]string{2: "comm", 3: "state", 4: "ppid", 5: "pgrp", 6: "session", 38: "exit signal", 52: "exit code"}

// statusOut are the lines of /proc/PID/status that are not compared.
var statusOut = map[string]string{
	"FDSize": "how large the table of descriptors has ever been",
	"VmPeak": "history", "VmHWM": "history",
	"VmRSS": "resident", "RssAnon": "resident", "RssFile": "resident", "RssShmem": "resident", "VmPTE": "page tables", "VmSwap": "resident",
	"VmLck":                      "goes wrong when MREMAP_DONTUNMAP moves a locked mapping; the mappings' flags are compared",
	"SigQ":                       "counts the user's queued signals in all processes",
	"voluntary_ctxt_switches":    "history",
	"nonvoluntary_ctxt_switches": "history",
}

// zombieStatus are the lines of a zombie that are: its uid is not kept.
var zombieStatus = map[string]bool{"Name": true, "State": true, "Tgid": true, "Pid": true, "PPid": true, "Threads": true}

// Besides:
//   - inode numbers of pipes, anonymous objects and files are numbered in the
//     order in which they are met: which are the same is compared
//   - neighbouring mappings that are alike in all are taken together: the kernel
//     joins them or not as their history was
//   - a session or group that others than the tree are in is restore's own
//     afterwards
//   - "gu" of mappings: whether there ever were guard regions
//   - "ac" of mappings that can't be written to: whether they ever could
//   - the time left of a timer runs on: it may become less, by up to slack
//   - the order of children: one that a sibling made, and that shares with it,
//     may come back behind others
//   - the owner of a flock(2) is whoever asked for it, and restore does
//   - what is in a pipe that nobody can read from
//   - a timer slack of 0, the default of a child of a real-time task, is 1
//   - contents of droppable memory (MAP_DROPPABLE), which may go at any time
//   - open files that the tree shares with tasks outside of it: the restored tree
//     opens its own
//   - sharing of semaphore undo lists (CLONE_SYSVSEM): there are no undos
//   - the mask of a stopped task, which tells of it when it goes on: in
//     sigsuspend(2) it is the call's until then, after a restore from then on
//   - SIGCHLD pending for a stopped task: its children stop once more when they
//     are restored, and it hears of that when it goes on
//   - report: the "handled" and "pending" lines of a task that was stopped: what
//     came while it was is delivered when it goes on
const slack = 60 // seconds

// notGenerated is what no operation does, since a restore does not keep it.
var notGenerated = []string{
	"THP's \"except advised\", SCHED_DEADLINE, autogroups",
	"Landlock, keyrings, login uids, control groups, semaphore undo",
	"relative timed waits, timed waits in epoll_wait, semtimedop and sigtimedwait, blocked large writes to pipes",
	"queues of signals that hit the limit, overruns, timers that expire, the id of the next timer",
	"stops that have been waited for, WCONTINUED",
	"children of a thread that isn't the first",
	"O_ASYNC of pipes and its signals, owners that are groups, dnotify, busy polling of epolls, consumed edges",
	"pipes that are full of buffers that aren't",
	"LDT, selectors, policies of mappings, seals",
}
